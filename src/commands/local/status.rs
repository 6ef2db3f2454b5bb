//! `fastvm local status`

use serde::Serialize;

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::human;
use fastvm_engine::{self as local, serving};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm local status
  fastvm local status -q .mode")]
pub struct StatusArgs {}

/// What there is, for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    folder: String,
    /// Null where no engine serves.
    url: Option<String>,
    mode: String,
    limits: String,
    disk_limits: &'static str,
    vms: usize,
    running: usize,
    snapshots: usize,
    disk_bytes: u64,
    /// What there is to say about VMs that are paused for their disks, and about what was lost.
    notices: Vec<String>,
}

pub(crate) fn run(context: &mut Context, _args: StatusArgs) -> Result<Exit, Error> {
    let options = context.local_options()?;
    let url = serving::find(&options.data);
    let folder = options.data.display().to_string();
    let status = local::status(options)?;
    let report = Report {
        folder,
        url,
        mode: status.mode.to_string(),
        limits: status.limits.to_string(),
        disk_limits: status.disk_limits,
        vms: status.vms,
        running: status.running,
        snapshots: status.snapshots,
        disk_bytes: status.disk_bytes,
        notices: status.notices,
    };
    if !context.ui.shows_tables() {
        context.ui.value(&report)?;
        return Ok(Exit::SUCCESS);
    }
    context.ui.pairs(&[
        ("folder", &report.folder),
        ("serving", report.url.as_deref().unwrap_or("no")),
        ("isolation", &report.mode),
        ("limits", &report.limits),
        ("disk limits", report.disk_limits),
        (
            "VMs",
            &format!("{} ({} running)", report.vms, report.running),
        ),
        ("snapshots", &report.snapshots.to_string()),
        ("disk", &human::size(report.disk_bytes)),
    ])?;
    for notice in &report.notices {
        context.ui.warn(notice);
    }
    Ok(Exit::SUCCESS)
}
