//! `fastvm credential create`

use std::path::PathBuf;

use super::table::CREDENTIALS;
use crate::commands::shared::create_request;
use crate::commands::shared::resolve_name::Named;
use crate::commands::shared::secret_input;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::control::visible;
use fastvm_api::types::Record;
use fastvm_api::types::credential::{CreateVolumeCredentialRequest, VolumeCredential};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The secret is read from a file, from standard input, or at the terminal without showing it. It never comes back.
Line breaks at its end are left out.

Examples:
  fastvm credential create reader --type gcs --data-file key.json
  vault read -field=key aws | fastvm credential create writer --type s3 --data-file -")]
pub struct CreateArgs {
    /// Name of the credential
    name: String,

    /// Kind of credential, such as s3 or gcs
    #[arg(long = "type", value_name = "TYPE")]
    kind: String,

    /// Read the secret from a file, or from standard input with `-`
    #[arg(long, value_name = "FILE")]
    data_file: Option<PathBuf>,
}

pub(super) async fn run(context: &mut Context, args: CreateArgs) -> Result<Exit, Error> {
    for (what, text) in [("name", &args.name), ("type", &args.kind)] {
        if text.trim().is_empty() {
            return Err(Error::usage(format!("the {what} is empty")));
        }
    }
    let data = secret_input::material(context, args.data_file.as_deref()).await?;
    let client = context.client().await?;
    let request = CreateVolumeCredentialRequest {
        name: args.name,
        kind: args.kind,
        data,
    };
    let creating = async { Ok(client.create_credential(&request).await?) };
    let left = |error, credential: &Record<VolumeCredential>| {
        Named::credential(&credential.value).made_all_the_same(error)
    };
    let look = "the credential may exist all the same; look with `fastvm credential list`";
    let credential = create_request::wait_for_answer(creating, look, left).await?;
    let named = Named::credential(&credential.value);
    let line = format!(
        "created {}; make a volume with `fastvm volume create --byo URI --credential {}`",
        named.label(),
        visible(named.word())
    );
    context.ui.outcome(credential, &CREDENTIALS, &line)?;
    Ok(Exit::SUCCESS)
}
