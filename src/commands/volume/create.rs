//! `fastvm volume create`

use clap::ValueEnum;

use super::outcome;
use super::table::VOLUMES;
use crate::commands::shared::create_request;
use crate::commands::shared::gib::gib;
use crate::commands::shared::resolve_name::{self, Named};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use fastvm_api::types::Record;
use fastvm_api::types::volume::{BYO_OBJECT, ByoObject, CreateVolumeRequest, NATIVE, Volume};

const MAY_EXIST: &str =
    "the volume may exist all the same; check with `fastvm volume list` before you try again";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm volume create data --size-gib 20
  fastvm volume create models --byo gs://bucket/models --credential reader --access ro")]
pub struct CreateArgs {
    /// Name of the volume
    name: Option<String>,

    /// A disk of this size
    #[arg(long, value_name = "N", value_parser = gib, allow_negative_numbers = true, conflicts_with = "byo")]
    size_gib: Option<i64>,

    /// A bucket of yours: gs://BUCKET/PREFIX or s3://BUCKET/PREFIX
    #[arg(long, value_name = "URI", value_parser = bucket, requires = "credential")]
    byo: Option<String>,

    /// The stored credential that opens the bucket, by id or name
    #[arg(
        long,
        value_name = "CREDENTIAL",
        requires = "byo",
        conflicts_with = "size_gib"
    )]
    credential: Option<String>,

    /// Whether VMs may write to it [default: rw]
    #[arg(long, value_name = "MODE")]
    access: Option<Access>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Access {
    /// Read and write
    Rw,
    /// Read only
    Ro,
}

/// Checks the URI of a bucket.
fn bucket(text: &str) -> Result<String, String> {
    let rest = ["gs://", "s3://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.starts_with('/') => Ok(text.to_owned()),
        _ => Err("must be gs://BUCKET/PREFIX or s3://BUCKET/PREFIX".to_owned()),
    }
}

pub(super) async fn run(context: &mut Context, args: CreateArgs) -> Result<Exit, Error> {
    if args.size_gib.is_none() && args.byo.is_none() {
        return Err(Error::usage("a volume needs a size or a bucket")
            .hint("give --size-gib N, or --byo URI with --credential CREDENTIAL"));
    }
    let client = context.client().await?;
    let byo_object = match (args.byo, &args.credential) {
        (Some(uri), Some(credential)) => Some(ByoObject {
            uri,
            credentials_ref: resolve_name::credential(&client, credential).await?.id,
        }),
        _ => None,
    };
    let backend = if byo_object.is_some() {
        BYO_OBJECT
    } else {
        NATIVE
    };
    let access = args.access.map(|access| match access {
        Access::Rw => "rw",
        Access::Ro => "ro",
    });
    let request = CreateVolumeRequest {
        name: args.name,
        backend: backend.to_owned(),
        access_mode: access.map(str::to_owned),
        size_gib: args.size_gib,
        byo_object,
    };
    let creating = async {
        let created = client.create_volume(&request).await;
        created.map_err(|error| match error.is_outcome_unknown() {
            true => Error::from(error).hint(MAY_EXIST),
            false => error.into(),
        })
    };
    let left =
        |error, volume: &Record<Volume>| Named::volume(&volume.value).made_all_the_same(error);
    let volume = create_request::wait_for_answer(creating, MAY_EXIST, left).await?;
    let line = outcome::line("created", &volume.value);
    context.ui.outcome(volume, &VOLUMES, &line)?;
    Ok(Exit::SUCCESS)
}
