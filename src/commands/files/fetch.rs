//! `fastvm files fetch`

use std::io::Read as _;
use std::time::Duration;

use super::absolute;
use crate::commands::shared::resolve_name::{self, Named};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::output::control::visible;
use crate::output::human;
use crate::quantity::parse_duration;
use fastvm_api::secret::SignedUrl;
use fastvm_api::types::exec::ExecResponse;

/// The most that is read of a URL on standard input, in bytes.
const LONGEST_URL: u64 = 64 << 10;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The URL is the downloadUrl of `fastvm files presign`; the API refuses any other. The folder of PATH must exist.

Examples:
  fastvm files fetch dev \"$url\" /root/data.bin
  fastvm files presign dev /tmp/x -q .downloadUrl | fastvm files fetch dev - /tmp/x --timeout 1h")]
pub struct FetchArgs {
    /// Id, exact name, or the first characters of an id (4 or more)
    vm: String,

    /// A signed URL to download, or `-` to read it from standard input, where `ps` does not show it
    #[arg(value_name = "URL")]
    url: String,

    /// Absolute path in the VM to write to
    #[arg(value_name = "PATH", value_parser = absolute)]
    path: String,

    /// Limit of the download in the VM
    #[arg(id = "timeout", long = "timeout", value_name = "DUR", default_value = "600s", value_parser = whole_seconds)]
    timeout: Duration,
}

fn whole_seconds(text: &str) -> Result<Duration, String> {
    let limit = parse_duration(text).map_err(|error| error.to_string())?;
    let is_whole = limit.subsec_nanos() == 0 && (1..=i32::MAX as u64).contains(&limit.as_secs());
    is_whole
        .then_some(limit)
        .ok_or_else(|| "must be whole seconds, at least 1s".to_owned())
}

pub(super) async fn run(context: &mut Context, args: FetchArgs) -> Result<Exit, Error> {
    let url = signed_url(&args.url)?;
    let client = context.client().await?;
    let vm = resolve_name::vm(&client, &args.vm).await?;
    let spinner = context
        .ui
        .spinner(&format!("fetching {}", visible(&args.path)));
    let seconds = i64::try_from(args.timeout.as_secs()).unwrap_or(i64::MAX);
    let answer = client
        .fetch(&vm.id, &url, &args.path, seconds)
        .await
        .map_err(|error| vm.explain(error))?;
    drop(spinner);
    if !context.ui.shows_tables() {
        context.ui.raw_json(&answer.json)?;
    }
    check(&answer.value, &args, &vm)?;
    let status = format!("fetched {} into {}", visible(&args.path), vm.label());
    context.ui.status(&status);
    Ok(Exit::SUCCESS)
}

fn signed_url(text: &str) -> Result<SignedUrl, Error> {
    let mut url = text.to_owned();
    if text == "-" {
        url.clear();
        std::io::stdin()
            .take(LONGEST_URL)
            .read_to_string(&mut url)
            .map_err(|error| {
                Error::new(
                    Kind::LocalIo,
                    format!("cannot read standard input: {error}"),
                )
            })?;
    }
    let url = url.trim();
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err(
            Error::usage("the URL does not begin with https:// or http://")
                .hint("get one with `fastvm files presign VM PATH -q .downloadUrl`"),
        );
    }
    Ok(SignedUrl::new(url))
}

/// A download that failed in the VM is a failure here, too.
fn check(answer: &ExecResponse, args: &FetchArgs, vm: &Named) -> Result<(), Error> {
    let what = format!("VM {} did not fetch {}", vm.label(), visible(&args.path));
    if answer.timed_out {
        let limit = human::duration(args.timeout);
        return Err(vm
            .about(Error::new(
                Kind::CommandTimeout,
                format!("{what} within {limit}"),
            ))
            .hint("give it more time with --timeout"));
    }
    // An answer without a code tells of no failure.
    let code = answer.exit_code.unwrap_or(0);
    if code == 0 {
        return Ok(());
    }
    let said = answer.stderr.trim();
    let message = match said {
        "" => format!("{what}: exit code {code}"),
        said => format!("{what}: {said}"),
    };
    Err(vm.about(Error::new(Kind::Transfer, message)))
}
