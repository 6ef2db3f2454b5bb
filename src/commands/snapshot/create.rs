//! `fastvm snapshot create`

use std::time::Duration;

use super::outcome::{self, state};
use super::table::SNAPSHOTS;
use crate::commands::shared::resolve_name::{self, Named};
use crate::commands::shared::{create_request, wait};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::output::control::visible;
use crate::quantity::parse_duration;
use fastvm_api::Client;
use fastvm_api::types::Record;
use fastvm_api::types::snapshot::{CreateSnapshotRequest, READY, Snapshot};
use fastvm_api::wait::{Wait, Waited};

const MAY_EXIST: &str =
    "the snapshot may exist all the same; check with `fastvm snapshot list` before you try again";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm snapshot create dev --name golden --wait
  fastvm snapshot create dev -o id")]
pub struct CreateArgs {
    /// Id, exact name, or the first characters of an id (4 or more)
    vm: String,

    /// Name of the snapshot; the API cuts it after 64 characters
    #[arg(short, long, value_name = "NAME")]
    name: Option<String>,

    /// Wait until the snapshot is ready
    #[arg(long)]
    wait: bool,

    /// How long to wait
    #[arg(long, value_name = "DUR", default_value = "300s", value_parser = parse_duration, requires = "wait")]
    wait_timeout: Duration,
}

pub(crate) async fn run(context: &mut Context, args: CreateArgs) -> Result<Exit, Error> {
    let client = context.client().await?;
    let vm = resolve_name::vm(&client, &args.vm).await?;
    let spinner = context.ui.spinner(&format!("saving {}", vm.label()));
    let request = CreateSnapshotRequest {
        vm_id: vm.id.clone(),
        name: args.name.clone(),
    };
    let creating = async {
        let created = client.create_snapshot(&request).await;
        created.map_err(|error| match error.is_outcome_unknown() {
            true => vm.explain(error).hint(MAY_EXIST),
            false => vm.explain(error),
        })
    };
    let left = |error, snapshot: &Record<Snapshot>| {
        Named::snapshot(&snapshot.value).made_all_the_same(error)
    };
    let snapshot = create_request::wait_for_answer(creating, MAY_EXIST, left).await?;
    let snapshot = if args.wait {
        ready(&client, snapshot, args.wait_timeout).await?
    } else {
        snapshot
    };
    drop(spinner);
    let line = outcome::line("created", &snapshot.value);
    context.ui.outcome(snapshot, &SNAPSHOTS, &line)?;
    Ok(Exit::SUCCESS)
}

/// Waits until a snapshot is ready.
pub(crate) async fn ready(
    client: &Client,
    snapshot: Record<Snapshot>,
    limit: Duration,
) -> Result<Record<Snapshot>, Error> {
    if snapshot.value.status.as_deref() == Some(READY) {
        return Ok(snapshot);
    }
    let wait = Wait {
        limit,
        interval: Duration::from_secs(2),
    };
    let id = &snapshot.value.id;
    let what = format!("snapshot {}", visible(id));
    let look = || {
        format!(
            "see how far it is with `fastvm snapshot get {}`",
            visible(id)
        )
    };
    let waiting = async { Ok(client.wait_for_snapshot(id, wait).await?) };
    let waited = wait::supervise(waiting, || {
        format!("the snapshot is still being made; {}", look())
    });
    match waited.await.map_err(|error| error.id(id).or_hint(look))? {
        Waited::Ready(snapshot) => Ok(snapshot),
        Waited::Failed(last) => Err(Error::new(
            Kind::VmFailed,
            format!(
                "{what} failed: its status is {}",
                visible(state(&last.value))
            ),
        )
        .id(id)),
        Waited::TimedOut(late) => Err(wait::late(&what, &late, limit, state).id(id).hint(look())),
    }
}
