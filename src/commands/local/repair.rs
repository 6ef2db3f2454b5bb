//! `fastvm local repair`

use serde::Serialize;

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use fastvm_engine::{self as local, Repair, Thing};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm local repair
  fastvm local repair -q '.lost[].id'")]
pub struct RepairArgs {}

/// What was done, for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    folder: String,
    /// Null if the state was sound.
    problem: Option<String>,
    /// Where the damaged state is now, or null.
    moved: Option<String>,
    new_key: bool,
    brought_back: Vec<Entry>,
    lost: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    kind: String,
    id: String,
    name: String,
    note: String,
}

impl From<Thing> for Entry {
    fn from(thing: Thing) -> Self {
        Self {
            kind: thing.kind,
            id: thing.id,
            name: thing.name,
            note: thing.note,
        }
    }
}

pub(crate) fn run(context: &mut Context, _args: RepairArgs) -> Result<Exit, Error> {
    let options = context.local_options()?;
    let folder = options.data.display().to_string();
    let repair = local::repair(&options)?;
    if context.ui.shows_tables() {
        for line in lines(&repair) {
            context.ui.line(&line)?;
        }
        let is_sound = repair == Repair::default();
        if is_sound {
            let status = format!("the state in {folder} is sound, nothing had to be brought back");
            context.ui.status(&status);
        }
        return Ok(Exit::SUCCESS);
    }
    context.ui.value(&Report {
        folder,
        problem: repair.problem,
        moved: repair.moved.map(|path| path.display().to_string()),
        new_key: repair.has_new_key,
        brought_back: repair.brought_back.into_iter().map(Entry::from).collect(),
        lost: repair.lost.into_iter().map(Entry::from).collect(),
    })?;
    Ok(Exit::SUCCESS)
}

fn lines(repair: &Repair) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(problem) = &repair.problem {
        lines.push(format!("the state was damaged: {problem}"));
    }
    if let Some(path) = &repair.moved {
        lines.push(format!("moved it to {}", path.display()));
    }
    if repair.has_new_key {
        lines.push("made a new API key".to_owned());
    }
    let told = |verb: &str, thing: &Thing| {
        let mut line = format!("{verb} {}", thing.kind);
        if thing.name.is_empty() {
            line.push_str(&format!(" {}", thing.id));
        } else {
            line.push_str(&format!(" {} ({})", thing.name, thing.id));
        }
        if !thing.note.is_empty() {
            line.push_str(&format!(": {}", thing.note));
        }
        line
    };
    let back = repair.brought_back.iter();
    lines.extend(back.map(|thing| told("brought back", thing)));
    let lost = repair.lost.iter();
    lines.extend(lost.map(|thing| told("not brought back:", thing)));
    lines
}
