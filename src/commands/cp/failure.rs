//! What a failed copy means to the user.

use crate::commands::shared::resolve_name::Named;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::output::control::visible;
use fastvm_api as api;
use fastvm_transfer::{self as transfer, SkipReason, Skipped, Summary};

/// A word that names no side of a copy.
pub(super) fn usage(error: &transfer::Error) -> Error {
    Error::usage(error.to_string())
        .hint("write VM:PATH for a side in a VM, and ./PATH for a local one with a colon")
}

/// Says on which VM and path a copy failed.
pub(super) fn explain(error: transfer::Error, vm: &Named) -> Error {
    let text = transfer::shown_guest_path(&with_cause(&error)).into_owned();
    let text = match error {
        transfer::Error::RemoteMissing(_)
        | transfer::Error::ReadOnly(_)
        | transfer::Error::Guest { .. }
        | transfer::Error::GuestUnreadable(_)
        | transfer::Error::GuestTimeout(_)
        | transfer::Error::GuestTool(_) => {
            text.replacen("the VM", &format!("VM {}", vm.label()), 1)
        }
        _ => text,
    };
    let kind = match error {
        transfer::Error::Argument { .. } | transfer::Error::Refused { .. } => Kind::Usage,
        transfer::Error::LocalMissing(_) | transfer::Error::RemoteMissing(_) => Kind::NotFound,
        transfer::Error::Conflict { .. }
        | transfer::Error::OtherKind { .. }
        | transfer::Error::TooLarge { .. } => Kind::Conflict,
        transfer::Error::Stream { source, .. }
            if source.kind() == std::io::ErrorKind::BrokenPipe =>
        {
            Kind::BrokenPipe
        }
        transfer::Error::Local { .. } | transfer::Error::Stream { .. } => Kind::LocalIo,
        transfer::Error::GuestUnreadable(_) => {
            let hint = "let the user that commands run as in the VM read it, or copy what is beside it by itself";
            return vm.about(Error::new(Kind::Transfer, text)).hint(hint);
        }
        transfer::Error::Unreadable(_) => {
            return Error::new(Kind::LocalIo, text).hint("copy the rest with --keep-going");
        }
        transfer::Error::Remote(remote) => return of_remote(remote, vm),
        _ => Kind::Transfer,
    };
    vm.about(Error::new(kind, text))
}

fn of_remote(remote: transfer::RemoteError, vm: &Named) -> Error {
    match remote.into_source().downcast::<api::Error>() {
        Ok(error) => vm.explain(*error),
        Err(other) => vm.about(Error::new(Kind::Transfer, visible(&other.to_string()))),
    }
}

/// The message and the system's reason behind it.
fn with_cause(error: &transfer::Error) -> String {
    match error {
        transfer::Error::Local { source, .. } | transfer::Error::Stream { source, .. } => {
            format!("{error}: {}", api::error::root_cause(source))
        }
        _ => error.to_string(),
    }
}

/// One warning about what was left out by rule, or was gone when its turn came.
pub(super) fn left_out(summary: &Summary) -> Option<String> {
    let of = |reason: SkipReason| -> Vec<String> {
        let skipped = summary
            .skipped
            .iter()
            .filter(|skipped| skipped.reason == reason);
        skipped
            .map(|skipped| skipped.path.display().to_string())
            .collect()
    };
    let kinds = [
        (SkipReason::Special, "neither file, folder nor link"),
        (SkipReason::Vanished, "gone before it could be read"),
        (SkipReason::Link, "a link that may not be made here"),
        (
            SkipReason::Name,
            "of a name that this machine cannot have, or not beside another",
        ),
    ];
    let parts: Vec<String> = kinds
        .into_iter()
        .map(|(reason, words)| (of(reason), words))
        .filter(|(paths, _)| !paths.is_empty())
        .map(|(paths, words)| format!("{} {words} ({})", paths.len(), some(&paths, 3)))
        .collect();
    (!parts.is_empty()).then(|| format!("left out: {}", parts.join("; ")))
}

/// The first of many paths, made visible.
fn some(paths: &[String], most: usize) -> String {
    let shown: Vec<_> = paths
        .iter()
        .take(most)
        .map(|path| visible(&transfer::shown_guest_path(path)).into_owned())
        .collect();
    let more = if paths.len() > most { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// A copy that left something out that was asked for ends with 1; special files are left out by rule.
pub(super) fn of_skipped(summary: &Summary) -> Result<Exit, Error> {
    let was_asked_for = |skipped: &&Skipped| {
        use SkipReason::{Changed, Name, Unreadable};
        matches!(skipped.reason, Unreadable | Changed | Name)
    };
    let left_out = summary.skipped.iter().filter(was_asked_for);
    let paths: Vec<_> = left_out
        .map(|skipped| skipped.path.display().to_string())
        .collect();
    if paths.is_empty() {
        return Ok(Exit::SUCCESS);
    }
    let shown = some(&paths, 10);
    Err(Error::new(
        Kind::Transfer,
        match paths.len() {
            1 => format!("1 path was not copied: {shown}"),
            many => format!("{many} paths were not copied: {shown}"),
        },
    ))
}
