//! What goes where, from the words alone.

use std::ffi::OsString;
use std::path::Path;

use crate::error::Error;
use fastvm_transfer::{
    DownloadTarget, Endpoint, RemotePath, System, UploadSource, parse, shown_guest_path,
};

/// Both sides of the copy, at least one of them in a VM.
pub(super) enum Plan {
    Up {
        sources: UploadSource,
        vm: String,
        target: RemotePath,
    },
    Down {
        vm: String,
        sources: Vec<RemotePath>,
        target: DownloadTarget,
    },
    Between {
        from: String,
        sources: Vec<RemotePath>,
        to: String,
        target: RemotePath,
    },
}

/// Says what goes where, from the words alone. A target that is `home`, as which a shell writes `~`, is a folder to copy into.
pub(super) fn plan(words: &[OsString], home: Option<&Path>) -> Result<Plan, Error> {
    let mut sides = words
        .iter()
        .map(|word| parse(word, System::current()).map_err(|error| super::failure::usage(&error)))
        .collect::<Result<Vec<_>, _>>()?;
    sides.iter().try_for_each(refuse_tilde)?;
    let target = sides
        .pop()
        .ok_or_else(|| Error::usage("no source is given"))?;
    match target {
        Endpoint::Remote { vm, path, into }
            if sides
                .iter()
                .any(|side| matches!(side, Endpoint::Remote { .. })) =>
        {
            let (from, sources) = remote_sources(sides)?;
            Ok(Plan::Between {
                from,
                sources,
                to: vm,
                target: RemotePath { path, into },
            })
        }
        Endpoint::Remote { vm, path, into } => Ok(Plan::Up {
            sources: local_sources(sides)?,
            vm,
            target: RemotePath { path, into },
        }),
        Endpoint::Local { path, into } => {
            let into = into || Some(path.as_path()) == home;
            down(sides, DownloadTarget::Path { path, into })
        }
        Endpoint::Stream => down(sides, DownloadTarget::Stream(Box::new(tokio::io::stdout()))),
    }
}

/// Refuses a `~` that the shell has left: it would be a folder of that name.
fn refuse_tilde(side: &Endpoint) -> Result<(), Error> {
    match side {
        Endpoint::Local { path, .. } if path.starts_with("~") => {
            let shown = path.display();
            let message = format!("`{shown}` is not expanded: here `~` is a folder of that name");
            Err(Error::usage(message).hint(format!(
                "remove the quotes, so that the shell writes your home, or write ./{shown} for that folder"
            )))
        }
        _ => Ok(()),
    }
}

fn local_sources(sides: Vec<Endpoint>) -> Result<UploadSource, Error> {
    if let [Endpoint::Stream] = sides.as_slice() {
        return Ok(UploadSource::Stream(Box::new(tokio::io::stdin())));
    }
    let paths = sides.into_iter().map(|side| match side {
        Endpoint::Local { path, .. } => Ok(path),
        Endpoint::Stream => Err(Error::usage(
            "standard input cannot be one of several sources",
        )),
        Endpoint::Remote { .. } => Err(mixed()),
    });
    Ok(UploadSource::Paths(paths.collect::<Result<_, _>>()?))
}

fn down(sides: Vec<Endpoint>, target: DownloadTarget) -> Result<Plan, Error> {
    if !sides
        .iter()
        .any(|side| matches!(side, Endpoint::Remote { .. }))
    {
        return Err(
            Error::usage("neither side is in a VM").hint("write VM:PATH for the side in the VM")
        );
    }
    let (vm, sources) = remote_sources(sides)?;
    Ok(Plan::Down {
        vm,
        sources,
        target,
    })
}

/// The one VM that all sources are in.
fn remote_sources(sides: Vec<Endpoint>) -> Result<(String, Vec<RemotePath>), Error> {
    let mut from = None;
    let mut sources = Vec::new();
    for side in sides {
        let Endpoint::Remote { vm, path, into } = side else {
            return Err(mixed());
        };
        if from.get_or_insert_with(|| vm.clone()) != &vm {
            return Err(
                Error::usage("the sources are in different VMs").hint("copy from one VM at a time")
            );
        }
        sources.push(RemotePath { path, into });
    }
    let vm = from.ok_or_else(|| Error::usage("no source is given"))?;
    Ok((vm, sources))
}

/// Refuses a copy that a folder would be part of itself by, or that would be what it is made from.
pub(super) fn check_within_one_vm(
    sources: &[RemotePath],
    target: &RemotePath,
) -> Result<(), Error> {
    for source in sources {
        let from = parts(&source.path);
        let mut to = parts(&target.path);
        if (target.into || sources.len() > 1) && !source.into {
            to.extend(from.last().copied());
        }
        if to.starts_with(&from) {
            let (from, to) = (
                shown_guest_path(&source.path),
                shown_guest_path(&target.path),
            );
            let message = format!(
                "cannot copy {from} to {to} in one VM: the target is the source or inside it"
            );
            return Err(Error::usage(message));
        }
    }
    Ok(())
}

/// The names that a path in a VM is made of, without those that lead nowhere. One below the home begins with `~`.
fn parts(path: &str) -> Vec<&str> {
    let mut parts = match path.starts_with(['/', '~']) {
        true => Vec::new(),
        false => vec!["~"],
    };
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts
}

fn mixed() -> Error {
    Error::usage("some sources are here and some in a VM").hint("copy from one side at a time")
}
