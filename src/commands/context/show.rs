//! `fastvm context show`

use serde::Serialize;

use crate::commands::prints::{self, Columns};
use crate::config::{Api, Environment, KeySource, Remote, Settings};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::{Column, Table};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm context show
  fastvm context show eu
  fastvm context show -q '.[] | select(.setting == \"base_url\").value'")]
pub struct ShowArgs {
    /// Which context; without it, the one that is used now
    name: Option<String>,
}

/// One setting.
#[derive(Debug, Serialize)]
struct Row {
    setting: &'static str,
    value: String,
    from: String,
}

static SETTINGS: Table<Row> = Table {
    noun: "setting",
    plural: "settings",
    columns: &[
        Column::new("setting", |row| row.setting.to_owned()),
        Column::new("value", |row| row.value.clone()),
        Column::new("from", |row| row.from.clone()),
    ],
    name: |row| row.setting,
    id: |row| row.setting,
    empty_hint: None,
};

/// Its columns.
pub(crate) fn columns() -> Columns {
    prints::names(&SETTINGS)
}

pub(crate) async fn run(context: &mut Context, args: ShowArgs) -> Result<Exit, Error> {
    let settings = match args.name {
        None => context.settings.clone(),
        Some(name) => named(context, name)?,
    };
    let mut rows = vec![row(
        "context",
        &settings.context.name,
        &settings.context.source,
    )];
    match settings.api()? {
        Api::Local { data, egress } => {
            let environment = &context.environment;
            let from = |set: bool, variable| if set { variable } else { "the default" };
            let folder = from(environment.local_dir.is_some(), Environment::LOCAL_DIR);
            let reach = from(
                environment.local_egress.is_some(),
                Environment::LOCAL_EGRESS,
            );
            rows.push(row("data", &data.display().to_string(), folder));
            rows.push(row("egress", egress, reach));
            let quotas = environment.local_quotas.as_deref().unwrap_or("default");
            let limits = from(
                environment.local_quotas.is_some(),
                Environment::LOCAL_QUOTAS,
            );
            rows.push(row("quotas", quotas, limits));
        }
        Api::Remote(remote) => rows.extend(access(remote)),
    }
    let others = settings.origins.iter();
    rows.extend(others.map(|origin| row(origin.setting, &origin.value, &origin.source)));
    context.ui.values(rows, &SETTINGS)?;
    Ok(Exit::SUCCESS)
}

/// The settings as they would be with `--context NAME`.
fn named(context: &Context, name: String) -> Result<Settings, Error> {
    let settings = context.settings_of_context(Some(name))?;
    for notice in settings
        .notices
        .iter()
        .filter(|notice| !context.settings.notices.contains(notice))
    {
        context.ui.warn(notice);
    }
    Ok(settings)
}

fn access(remote: &Remote) -> [Row; 2] {
    let key = match &remote.key {
        Ok(None) => row("api_key", "none", ""),
        Ok(Some(source)) => row("api_key", &masked(source), source.source()),
        Err(error) => row("api_key", "refused", &error.to_string()),
    };
    [
        row(
            "base_url",
            remote.base_url.as_str(),
            &remote.base_url.source,
        ),
        key,
    ]
}

/// A key is not read to be shown, and a program's arguments may be secrets.
fn masked(source: &KeySource) -> String {
    match source {
        KeySource::Value { key, .. } => key.hint(),
        KeySource::File { path, .. } => format!("in {}", path.display()),
        KeySource::Command { argv, .. } => {
            format!("printed by {}", argv.first().map_or("", String::as_str))
        }
    }
}

fn row(setting: &'static str, value: &str, from: &str) -> Row {
    Row {
        setting,
        value: value.to_owned(),
        from: from.to_owned(),
    }
}
