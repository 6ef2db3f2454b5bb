//! `fastvm context list`

use serde::Serialize;

use crate::commands::prints::{self, Columns};
use crate::config::contexts::Contexts;
use crate::config::shared::Shared;
use crate::config::{DEFAULT_CONTEXT, DEFAULT_URL, LOCAL_CONTEXT, credentials};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::{Column, Shown, Table};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm context list
  fastvm context list -q '.[] | select(.current).name'

CURRENT marks the one that this command line and environment use.")]
pub struct ListArgs {}

/// One line of the list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    name: String,
    current: bool,
    /// None for this machine.
    base_url: Option<String>,
    /// `stored`, `command`, or none.
    key: Option<&'static str>,
    output: Option<String>,
}

static CONTEXTS: Table<Row> = Table {
    noun: "context",
    plural: "contexts",
    columns: &[
        Column::new("current", |row: &Row| row.current.to_string()).text(|row, _| {
            if row.current {
                "*".to_owned()
            } else {
                String::new()
            }
        }),
        Column::new("name", |row| row.name.clone()),
        Column::new("url", |row: &Row| row.base_url.clone().unwrap_or_default()).text(|row, _| {
            row.base_url
                .clone()
                .unwrap_or_else(|| "this machine".to_owned())
        }),
        Column::new("key", |row| row.key.unwrap_or_default().to_owned()),
        Column::new("output", |row: &Row| row.output.clone().unwrap_or_default())
            .shown(Shown::Wide),
    ],
    name: |row| &row.name,
    id: |row| &row.name,
    empty_hint: None,
};

/// Its columns.
pub(crate) fn columns() -> Columns {
    prints::names(&CONTEXTS)
}

pub(crate) async fn run(context: &mut Context, _args: ListArgs) -> Result<Exit, Error> {
    let contexts = Contexts::load(&context.paths)?;
    let shared = Shared::load(&context.paths)?;
    let stored = credentials::names(&context.paths)?;
    let row = |name: String| {
        let entry = contexts.get(&name)?;
        let has_key = match name.as_str() {
            DEFAULT_CONTEXT => shared.api_key.is_some(),
            name => stored.iter().any(|known| known == name),
        };
        let base_url = match name.as_str() {
            LOCAL_CONTEXT => None,
            DEFAULT_CONTEXT => shared.base_url.clone(),
            _ => entry.base_url,
        };
        Ok(Row {
            current: name == context.settings.context.name,
            base_url: (name != LOCAL_CONTEXT)
                .then(|| base_url.unwrap_or_else(|| DEFAULT_URL.to_owned())),
            key: match (entry.api_key_command, has_key) {
                (Some(_), _) => Some("command"),
                (None, true) => Some("stored"),
                (None, false) => None,
            },
            output: entry.output,
            name,
        })
    };
    let rows: Vec<Row> = contexts
        .names()
        .into_iter()
        .map(row)
        .collect::<Result<_, Error>>()?;
    context.ui.values(rows, &CONTEXTS)?;
    Ok(Exit::SUCCESS)
}
