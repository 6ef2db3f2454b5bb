//! What goes where, from the words alone.

use std::ffi::OsString;
use std::path::Path;

use crate::error::Error;
use crate::transfer::{DownloadTarget, Endpoint, RemotePath, System, UploadSource, parse};

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
    let target = sides
        .pop()
        .ok_or_else(|| Error::usage("nothing is to be copied"))?;
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
    let vm = from.ok_or_else(|| Error::usage("nothing is to be copied"))?;
    Ok((vm, sources))
}

fn mixed() -> Error {
    Error::usage("some sources are here and some in a VM").hint("copy from one side at a time")
}
