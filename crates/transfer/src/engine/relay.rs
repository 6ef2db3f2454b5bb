//! From one VM into another by way of staging objects: the bytes never come here.

use std::sync::Arc;
use std::time::Instant;

use crate::engine::download::{TarReport, own_names, special};
use crate::engine::request::{RemotePath, Settings};
use crate::engine::upload::{self, parent_of};
use crate::error::Error;
use crate::format::codec::Codec;
use crate::format::path_bytes;
use crate::guest::remote::{BlobStore, Guest, StagingObject};
use crate::guest::retry::Retries;
use crate::guest::script::{
    self, Entry, FileMode, Found, Place, PutFile, PutTree, Relayed, SendTo, SendTree, Share, Tools,
};
use crate::options::Incomplete;
use crate::progress::Progress;
use crate::resume::cleanup::{Cleanup, tidy};
use crate::resume::staged_objects::StagedObjects;
use crate::summary::{SkipReason, Skipped, Summary};
use crate::{READINGS, nonce};
use fastvm_api::secret::SignedUrl;

/// A copy from one VM into another.
#[derive(Debug)]
pub struct RelayRequest {
    /// Paths in the first VM; at least one.
    pub sources: Vec<RemotePath>,
    /// Where they go in the second.
    pub target: RemotePath,
    /// How. Its leftovers are those in the second VM. A pace has no meaning: the bytes go past us.
    pub settings: Settings,
    /// What stands in the first VM meanwhile.
    pub source_cleanup: Cleanup,
}

/// Copies files and folders from `from` into `to`; `store` is the storage of `to`, which fetches nothing of another VM.
///
/// # Errors
/// See [`Error`]. What stands at the destination is then wholly old or wholly new, path by path, and what was made beside it is removed.
pub async fn relay(
    from: &impl Guest,
    to: &impl Guest,
    store: &impl BlobStore,
    progress: Arc<dyn Progress>,
    request: RelayRequest,
) -> Result<Summary, Error> {
    let started = Instant::now();
    if request.sources.is_empty() {
        return Err(Error::Argument {
            argument: String::new(),
            reason: "nothing to copy".to_owned(),
        });
    }
    if request.sources.len() > 1 {
        own_names(&request.sources)?;
    }
    let store = StagedObjects::new(store, &request.settings.cleanup);
    let mut summary = Summary::default();
    let into = request.target.into || request.sources.len() > 1;
    for source in &request.sources {
        let mut relay = Relay {
            from,
            source,
            cleanup: &request.source_cleanup,
            arrival: upload::Upload {
                guest: to,
                store: &store,
                progress: progress.clone(),
                settings: &request.settings,
                nonce: nonce(),
            },
        };
        let relayed = relay.one(&request.target.path, into);
        summary.add(store.emptying_during(relayed).await?);
    }
    summary.seconds = started.elapsed().as_secs_f64();
    Ok(summary)
}

/// One source on its way.
struct Relay<'a, F, T, S> {
    from: &'a F,
    source: &'a RemotePath,
    cleanup: &'a Cleanup,
    /// The far end, which is that of an upload.
    arrival: upload::Upload<'a, T, S>,
}

impl<F: Guest, T: Guest, S: BlobStore> Relay<'_, F, T, S> {
    /// Goes on until it has arrived, whatever happens to the bytes on their way.
    async fn one(&mut self, target: &str, into: bool) -> Result<Summary, Error> {
        let mut retries = Retries::default();
        loop {
            match self.once(target, into).await {
                Err(error) => retries.again(error).await?,
                summary => return summary,
            }
            // A script of this try may still be at work in its folder.
            self.arrival.nonce = nonce();
        }
    }

    async fn once(&self, target: &str, into: bool) -> Result<Summary, Error> {
        match script::read_small(self.from, &self.source.path, 0, None).await? {
            Found::File { path, tools, .. } => self.file(&path, &tools, target, into).await,
            Found::Folder { path, tools, .. } => {
                let contents = self.source.path == "." || self.source.path.ends_with("/.");
                let target = match own_name(&path) {
                    _ if !into || contents => target.to_owned(),
                    Some(own) => format!("{}/{own}", target.trim_end_matches('/')),
                    None => return Err(nameless(&path)),
                };
                self.tree(&path, &tools, &target).await
            }
            Found::Inline(_) | Found::Other => Err(special(&self.source.path)),
        }
    }

    async fn file(
        &self,
        path: &str,
        tools: &Tools,
        target: &str,
        into: bool,
    ) -> Result<Summary, Error> {
        let arrival = &self.arrival;
        let place = script::probe_for_file(arrival.guest, target, into).await?;
        let codec = self.codec(tools, &place)?;
        let into = into || place.kind == script::Kind::Folder;
        let name = own_name(path).unwrap_or_default();
        let stage = arrival.stage(if into {
            &place.path
        } else {
            parent_of(&place.path)
        });
        for _ in 0..READINGS {
            let object = self.presign().await?;
            let way = SendTo::Direct(object.upload);
            let (before, after, made) = script::send_file(self.from, path, codec, &way).await?;
            if before != after {
                arrival
                    .progress
                    .warn(format!("{path} changed while being read; it is sent again"));
                continue;
            }
            arrival.check_space(&place, before.size)?;
            arrival.settings.cleanup.add(&stage);
            let put = async {
                let object = arrival
                    .hand_over(&place, &stage, 0, &object.download)
                    .await?;
                let put = PutFile {
                    path: &place.path,
                    into,
                    name,
                    nonce: &arrival.nonce,
                    size: before.size,
                    sum: made.sum,
                    mode: FileMode::Is(before.mode),
                    modified: Some(before.modified),
                    codec,
                    object,
                };
                script::put_file(arrival.guest, put).await
            };
            arrival.settle(&stage, put.await).await?;
            return Ok(Summary {
                files: 1,
                bytes: before.size,
                ..Summary::default()
            });
        }
        Err(Error::Changed(vec![path.into()]))
    }

    async fn tree(&self, path: &str, tools: &Tools, target: &str) -> Result<Summary, Error> {
        let arrival = &self.arrival;
        tools.need(&["tar", "find", "stat"])?;
        let place = script::probe(arrival.guest, target).await?;
        place.tools.need(&["tar", "find"])?;
        if matches!(place.kind, script::Kind::File | script::Kind::Other) {
            return Err(Error::Conflict {
                path: place.path,
                reason: "not a folder".to_owned(),
            });
        }
        let codec = self.codec(tools, &place)?;
        let mut listed = script::list(self.from, path, arrival.settings.links).await?;
        let filter = &arrival.settings.filter;
        listed.retain(|entry| !filter.leaves_out(&entry.path, entry.kind == Entry::Folder));
        let special: Vec<_> = listed
            .extract_if(.., |entry| entry.kind == Entry::Special)
            .map(|entry| Skipped {
                path: path_bytes::shown(entry.path.as_bytes()),
                reason: SkipReason::Special,
            })
            .collect();
        let mut chosen = !filter.is_empty() || !special.is_empty();
        let mut left_out = special;
        for reading in 1..=2 * READINGS {
            let object = self.presign().await?;
            let way = self.way(codec, object.upload);
            let tree = SendTree {
                path,
                codec,
                dialect: tools.dialect,
                links: arrival.settings.links,
                only: chosen.then_some(&listed),
                share: Share::All,
                way: &way,
            };
            let announced = script::send_tree(self.from, tree).await;
            self.tidy(&way).await;
            let Some(announced) = announced? else {
                return Err(Error::Worker(
                    "a limit was kept that was not set".to_owned(),
                ));
            };
            let incomplete = arrival.settings.incomplete;
            let what = arrival.settings.what_counts();
            let said = TarReport::read(&announced, tools.dialect, what, path)?;
            if reading < READINGS && !said.changed.is_empty() {
                let count = said.changed.len();
                arrival.progress.warn(format!(
                    "{count} files in the VM changed while being read; the folder is sent again"
                ));
                continue;
            }
            let stops = incomplete == Incomplete::Stop && !said.changed.is_empty();
            if stops || said.all_changed {
                return Err(Error::Changed(said.changed_paths(path)));
            }
            // A folder that changes again is named once.
            for torn in said.torn_and_skipped() {
                if !left_out.contains(&torn) {
                    left_out.push(torn);
                }
            }
            let all = listed.len();
            listed.retain(|entry| entry.kind == Entry::Folder || !said.torn.contains(&entry.path));
            if listed.len() < all {
                // The other VM's tar would put them into place: the rest is read again without them.
                chosen = true;
                continue;
            }
            arrival.check_space(&place, announced.before.1)?;
            let members = said.complete.then_some(listed.len() as u64);
            let relayed = Relayed {
                members,
                codec,
                sum: announced.made.sum,
            };
            self.put(&place, &object.download, relayed).await?;
            let folders = listed.iter().filter(|entry| entry.kind == Entry::Folder);
            let folders = folders.count() as u64;
            let files = listed.len() as u64 - folders;
            let files = files.saturating_sub(said.skipped.len() as u64);
            left_out.extend(said.skipped);
            return Ok(Summary {
                files,
                folders,
                bytes: announced.before.1,
                skipped: left_out,
                ..Summary::default()
            });
        }
        Err(Error::Changed(vec![path.into()]))
    }

    async fn put(&self, place: &Place, url: &SignedUrl, relayed: Relayed) -> Result<(), Error> {
        let arrival = &self.arrival;
        let stage = arrival.stage(if place.kind == script::Kind::Folder {
            &place.path
        } else {
            parent_of(&place.path)
        });
        arrival.settings.cleanup.add(&stage);
        let put = async {
            let object = arrival.hand_over(place, &stage, 0, url).await?;
            let tree = PutTree::relayed(place, &stage, relayed, object);
            script::put_tree(arrival.guest, tree).await
        };
        arrival.settle(&stage, put.await).await
    }

    async fn presign(&self) -> Result<StagingObject, Error> {
        let name = self.arrival.object_name(nonce());
        Ok(self.arrival.store.presign(&name).await?)
    }

    /// What both ends know.
    fn codec(&self, tools: &Tools, place: &Place) -> Result<Codec, Error> {
        // Without curl the first VM has no way to hand an object over but through us.
        tools.need(&["curl"])?;
        let wish = self.arrival.settings.compression;
        tools.common(&place.tools).codec(wish)
    }

    /// An archive that is not compressed is made in a file first, so that its checksum can be told.
    fn way(&self, codec: Codec, url: SignedUrl) -> SendTo {
        if codec != Codec::None {
            return SendTo::Direct(url);
        }
        let stage = format!("/tmp/.fastvm-{}", nonce());
        self.cleanup.add(&stage);
        SendTo::Staged(url, stage)
    }

    async fn tidy(&self, way: &SendTo) {
        let SendTo::Staged(_, stage) = way else {
            return;
        };
        let progress = &*self.arrival.progress;
        tidy(self.from, self.cleanup, progress, stage).await;
    }
}

/// The last name of a path, if it has one.
fn own_name(path: &str) -> Option<&str> {
    let own = path.trim_end_matches('/').rsplit('/').next()?;
    (!own.is_empty() && own != "." && own != "..").then_some(own)
}

fn nameless(path: &str) -> Error {
    Error::Refused {
        path: path.to_owned(),
        reason: "has no name to be copied under; name the target".to_owned(),
    }
}
