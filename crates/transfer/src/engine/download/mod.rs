//! From a VM to this machine.

mod file;
mod large_file;
mod parts;
mod plan;
mod resumed;
mod stream;
mod tar_report;
mod transport;
mod tree;

pub(crate) use tar_report::TarReport;

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crate::SMALL;
use crate::blocking;
use crate::disk::destination::{self, Destination};
use crate::disk::install;
use crate::disk::tree::apart;
use crate::engine::request::{DownloadRequest, DownloadTarget, RemotePath, Settings};
use crate::error::Error;
use crate::format::path_bytes;
use crate::guest::guest_path;
use crate::guest::remote::{BlobStore, Guest};
use crate::guest::script::{self, Found};
use crate::options::Links;
use crate::progress::Progress;
use crate::resume::cleanup::sweep;
use crate::resume::journal::Noted;
use crate::resume::staged_objects::StagedObjects;
use crate::summary::Summary;

/// Copies files and folders out of a VM, or one of them into a stream.
///
/// # Errors
/// See [`Error`]. What stands at the destination is then wholly old or wholly new, path by path, and what was made beside it is removed.
pub async fn download(
    guest: &impl Guest,
    store: &impl BlobStore,
    progress: Arc<dyn Progress>,
    request: DownloadRequest,
) -> Result<Summary, Error> {
    let started = Instant::now();
    let DownloadRequest {
        sources,
        target,
        settings,
    } = request;
    let store = StagedObjects::new(store, &settings.cleanup);
    let job = Download {
        guest,
        store: &store,
        progress,
        settings: &settings,
        nonce: crate::nonce(),
        noted: None,
        follows: sources.len() == 1 && matches!(target, DownloadTarget::Path { into: false, .. }),
    };
    sweep(guest, &settings.cleanup).await?;
    let mut summary = store.emptying_during(job.all(&sources, target)).await?;
    summary.seconds = started.elapsed().as_secs_f64();
    Ok(summary)
}

struct Download<'a, G, S> {
    guest: &'a G,
    store: &'a StagedObjects<'a, S>,
    progress: Arc<dyn Progress>,
    settings: &'a Settings,
    nonce: String,
    /// What an earlier try of the same copy brought of the source at hand.
    noted: Option<Noted>,
    /// Whether the target of one file is followed where it is a link, and written to where it is a device or a pipe.
    follows: bool,
}

impl<G: Guest, S: BlobStore> Download<'_, G, S> {
    async fn all(&self, sources: &[RemotePath], target: DownloadTarget) -> Result<Summary, Error> {
        let nonsense = |argument: &str, reason: &str| {
            Err(Error::Argument {
                argument: argument.to_owned(),
                reason: reason.to_owned(),
            })
        };
        match (target, sources) {
            (_, []) => nonsense("", "nothing to copy"),
            (DownloadTarget::Stream(output), [source]) => self.stream(source, output).await,
            (DownloadTarget::Stream(_), _) => {
                nonsense("-", "only one source can go to standard output")
            }
            (DownloadTarget::Exact(path), [source]) => self.one(source, &path, false).await,
            (DownloadTarget::Path { path, into }, [source]) => self.one(source, &path, into).await,
            (DownloadTarget::Exact(path) | DownloadTarget::Path { path, .. }, sources) => {
                own_names(sources)?;
                let mut summary = Summary::default();
                for source in sources {
                    summary.add(self.one(source, &path, true).await?);
                }
                // What was spared for a source that had no use for it.
                let sweep = move || {
                    install::sweep(&path, &[]);
                    Ok(())
                };
                blocking(sweep).await?;
                Ok(summary)
            }
        }
    }

    async fn one(&self, source: &RemotePath, target: &Path, into: bool) -> Result<Summary, Error> {
        let trusted = self.settings.trusts_notes();
        let noted = |journal| Noted::new(journal, &source.path, trusted);
        let job = Download {
            guest: self.guest,
            store: self.store,
            progress: self.progress.clone(),
            settings: self.settings,
            nonce: crate::nonce(),
            noted: self.settings.cleanup.journal().map(noted),
            follows: self.follows,
        };
        job.source(source, target, into).await
    }

    async fn source(
        &self,
        source: &RemotePath,
        target: &Path,
        into: bool,
    ) -> Result<Summary, Error> {
        let most = (self.settings.links == Links::Keep).then_some(self.settings.shards.first);
        let found = script::read_small(self.guest, &source.path, SMALL, most).await?;
        let is_file = matches!(found, Found::Inline(_) | Found::File { .. });
        let followed = match is_file && self.follows {
            true => self.follow_target(source, target).await?,
            false => FollowedTarget::To(target.to_owned()),
        };
        let target = match &followed {
            FollowedTarget::Written(summary) => return Ok(summary.clone()),
            FollowedTarget::To(target) => target.as_path(),
        };
        match found {
            Found::Inline(small) => self.small_file(source, small, target, into).await,
            Found::File {
                path,
                status,
                tools,
            } => self.file(&path, status, &tools, target, into).await,
            Found::Folder { path, tools, large } => {
                let contents = source.path == "." || source.path.ends_with("/.");
                let target = if into && !contents {
                    target.join(own_name(&path)?)
                } else {
                    target.to_owned()
                };
                self.tree(&path, (&tools, large), target).await
            }
            Found::Other => Err(special(&source.path)),
        }
    }

    /// Follows the target of one file, and writes the file where that takes bytes as they come.
    async fn follow_target(
        &self,
        source: &RemotePath,
        target: &Path,
    ) -> Result<FollowedTarget, Error> {
        let at = target.to_owned();
        let destination = blocking(move || destination::find(&at)).await?;
        if let Destination::Place(place) = destination {
            return Ok(FollowedTarget::To(place));
        }
        let output = destination::open_stream(target).await?;
        let written = self.stream(source, output).await;
        written
            .map(FollowedTarget::Written)
            .map_err(|error| match error {
                Error::Stream { source, .. } => Error::local("write", target, source),
                other => other,
            })
    }

    /// What objects of this transfer are called at the storage.
    fn object_name(&self) -> String {
        format!("/tmp/.fastvm-{}/{}", self.nonce, crate::nonce())
    }
}

/// What became of the target of one file.
enum FollowedTarget {
    /// The file goes here.
    To(PathBuf),
    /// It went to a device or a pipe.
    Written(Summary),
}

/// Fails where two sources would go to one place.
pub(crate) fn own_names(sources: &[RemotePath]) -> Result<(), Error> {
    let mut names = HashSet::new();
    for source in sources {
        let name = source.path.trim_end_matches('/').rsplit('/').next();
        let name = name.unwrap_or_default();
        let name = (![".", ".."].contains(&name)).then_some(name);
        apart(&mut names, name, || source.path.clone())?;
    }
    Ok(())
}

pub(crate) fn special(path: &str) -> Error {
    Error::Refused {
        path: path.to_owned(),
        reason: "neither a file nor a folder".to_owned(),
    }
}

/// The last name of a path, as we asked for it: a VM has no say in what a copy is called.
pub(crate) fn own_name(path: &str) -> Result<OsString, Error> {
    let own = path
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or_default();
    let usable = !own.is_empty() && own != "." && own != "..";
    usable
        .then(|| path_bytes::from_bytes(&guest_path::bytes(own)))
        .flatten()
        .ok_or_else(|| Error::Refused {
            path: path.to_owned(),
            reason: "no file on this machine can have its name".to_owned(),
        })
}

fn changed(path: &str) -> Error {
    Error::Changed(vec![PathBuf::from(path)])
}

fn check_space(free: u64, needed: u64, target: &Path) -> Result<(), Error> {
    if needed > free {
        return Err(Error::NoSpace {
            place: target.display().to_string(),
            detail: format!("{needed} bytes needed, {free} free"),
        });
    }
    Ok(())
}
