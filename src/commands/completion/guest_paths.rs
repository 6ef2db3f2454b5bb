//! Paths in a VM, after `NAME:`.

use std::ffi::OsStr;

use clap_complete::engine::CompletionCandidate;

use super::names;
use crate::commands::shared::resolve_name;
use crate::error::Error;
use fastvm_api::Client;
use fastvm_api::types::exec::ExecRequest;
use fastvm_transfer::{Endpoint, System, parse};

/// How many paths are offered at most.
const MOST: usize = 500;

/// Prints what is in the folder `$1` and begins with `$2`, each with a zero at its end, folders with a slash. At most `$3` of them.
const SCRIPT: &str = r#"
home=${HOME:-/root}
case $1 in
    /*) cd -- "$1" ;;
    '~/'*) cd -- "$home/${1#??}" ;;
    *) cd -- "$home/$1" ;;
esac 2>/dev/null || exit 0
left=$3
for name in "$2"*; do
    case $name in . | ..) continue ;; esac
    if [ -d "$name" ]; then printf '%s/\0' "$name"
    elif [ -e "$name" ] || [ -L "$name" ]; then printf '%s\0' "$name"
    fi
    left=$((left - 1))
    [ "$left" -gt 0 ] || exit 0
done
"#;

/// The paths that complete `NAME:PATH`; `None` where the word is no path in a VM.
pub(super) fn complete(word: &OsStr) -> Option<Vec<CompletionCandidate>> {
    let Ok(Endpoint::Remote { vm, path, .. }) = parse(word, System::current()) else {
        return None;
    };
    let word = word.to_str()?;
    let (folder, beginning) = path
        .rsplit_once('/')
        .map_or(("", path.as_str()), |(folder, _)| {
            path.split_at(folder.len() + 1)
        });
    let before = word.strip_suffix(beginning)?.to_owned();
    let question = [folder, beginning].map(str::to_owned);
    let found =
        names::in_time(move || names::ask(async |client| list(client, &vm, question).await));
    let candidates = found
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty());
    let texts = candidates.filter_map(|name| std::str::from_utf8(name).ok());
    Some(
        texts
            .map(|name| CompletionCandidate::new(format!("{before}{name}")))
            .collect(),
    )
}

async fn list(
    client: &Client,
    vm: &str,
    [folder, beginning]: [String; 2],
) -> Result<Vec<u8>, Error> {
    let vm = resolve_name::vm(client, vm).await?;
    let most = MOST.to_string();
    let command = ["sh", "-c", SCRIPT, "sh", &folder, &beginning, &most];
    let request = ExecRequest {
        command: command.map(str::to_owned).to_vec(),
        timeout_sec: Some(1),
        ..ExecRequest::default()
    };
    let stream = client.exec(&vm.id, &request).await?;
    Ok(stream.output().await?.stdout)
}
