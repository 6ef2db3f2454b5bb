//! A tree that is larger than a shard: several shards at once, each moved into place as soon as it has arrived whole.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;

use super::large_file::{LargeFile, Stability};
use super::plan::{Batch, Plan, Task};
use super::tree::{Archive, Portion, summarize};
use super::{Upload, parent_of, questions};
use crate::SMALL;
use crate::blocking;
use crate::disk::folder::{Folder, FolderStack, Kind};
use crate::disk::local_modes::LocalModes;
use crate::disk::pack::{self, Extent, Outcome, Results, Shard, Stop, trailer};
use crate::disk::tree::{Entry, Tree, gone};
use crate::engine::send::Encoding;
use crate::engine::shards::Limiter;
use crate::error::Error;
use crate::format::codec::{Codec, threads};
use crate::format::mtime::Mtime;
use crate::format::path_bytes;
use crate::guest::remote::{BlobStore, Guest};
use crate::guest::retry::Retries;
use crate::guest::script::{self, Object, Place, PutTree, Role};
use crate::options::Incomplete;
use crate::progress::Silent;
use crate::resume::cleanup::tidy_earlier;
use crate::summary::Summary;

/// Objects that are made at once, as far as threads are shared out between them.
const AT_ONCE: usize = 4;
/// Folders whose modes and times may fit into one command.
const MOST_INLINE: usize = 4000;

/// The way that parts take.
#[derive(Debug)]
pub(super) struct Route<'a> {
    pub(super) place: &'a Place,
    pub(super) stage: String,
    pub(super) codec: Codec,
}

/// What a piece of work came to.
enum TaskOutcome {
    Batch(Vec<(usize, Outcome)>, Traffic),
    /// A file is open; these entries are no names of it any more, and so many bytes of it are there.
    Opened(Arc<LargeFile>, Vec<usize>, u64),
    /// It is no file any more.
    Lost(Vec<usize>, Outcome),
    Part(Traffic),
    /// A file whose parts have all arrived is in place, or is to be sent again.
    File(Arc<LargeFile>, Stability, Traffic),
}

/// Bytes of content, and on the wire.
#[derive(Clone, Copy, Default)]
struct Traffic {
    bytes: u64,
    wire: u64,
}

/// What came of opening a file that is to go in parts.
enum Opening {
    File(Box<LargeFile>, Vec<usize>),
    Lost(Vec<usize>, Outcome),
}

/// A tree on its way.
struct TreeUpload<'a, G, S> {
    job: &'a Upload<'a, G, S>,
    tree: Arc<Tree>,
    route: Route<'a>,
    limiter: Limiter,
    numbers: AtomicUsize,
    ready: watch::Receiver<Ready>,
    /// This copy made the target, in this try or an earlier one.
    is_new: bool,
}

/// How far the VM is prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ready {
    Not,
    /// The private folder is there.
    PartialFile,
    /// It is known that nothing is in the way.
    Clear,
}

impl<G: Guest, S: BlobStore> Upload<'_, G, S> {
    pub(super) async fn parts(
        &self,
        tree: Arc<Tree>,
        place: &Place,
        codec: Codec,
    ) -> Result<Summary, Error> {
        let stage = self.stage(if place.kind == script::Kind::Folder {
            &place.path
        } else {
            parent_of(&place.path)
        });
        self.settings.cleanup.add(&stage);
        let route = Route {
            place,
            stage: stage.clone(),
            codec,
        };
        let sent = self.parts_by(tree, route).await;
        self.settle(&stage, sent).await
    }

    async fn parts_by(&self, tree: Arc<Tree>, route: Route<'_>) -> Result<Summary, Error> {
        let place = route.place;
        let missing = place.kind == script::Kind::Missing;
        let journal = self.settings.cleanup.journal();
        let is_new =
            missing || journal.is_some_and(|journal| journal.is_new(place.path.as_bytes()));
        let mode = tree.root.map_or(0o755, |meta| meta.mode | 0o700);
        let mode = missing.then_some(mode);
        let (tell, ready) = watch::channel(Ready::Not);
        let parts = TreeUpload {
            job: self,
            route,
            limiter: Limiter::new(self.settings.shards),
            numbers: AtomicUsize::new(0),
            ready,
            tree,
            is_new,
        };
        let prepare = async {
            script::begin(self.guest, &place.path, &parts.route.stage, mode, &[]).await?;
            if let Some(journal) = journal.filter(|_| missing) {
                journal.record_new_target(place.path.as_bytes());
            }
            // Whoever waits for it may have failed.
            let _ = tell.send(Ready::PartialFile);
            if !missing {
                parts.clashes().await?;
            }
            let _ = tell.send(Ready::Clear);
            Ok::<_, Error>(())
        };
        let running = async {
            let there = parts.there(missing).await?;
            let continued = there.iter().filter(|there| **there).count() as u64;
            Ok::<_, Error>((continued, parts.run_all(there).await?))
        };
        let (mut prepare, mut running) = (pin!(prepare), pin!(running));
        let finished = tokio::select! {
            prepared = &mut prepare => {
                prepared?;
                running.await
            }
            finished = &mut running => {
                // What is being made in the VM can be removed once it is there.
                let prepared = prepare.await;
                let finished = finished?;
                prepared?;
                Ok(finished)
            }
        };
        let (continued, (outcomes, moved, continued_bytes)) = finished?;
        parts.last().await?;
        let mut summary = summarize(&parts.tree, outcomes.into_iter().enumerate());
        summary.bytes = moved.bytes;
        summary.wire_bytes = moved.wire;
        summary.continued = continued;
        summary.continued_bytes = continued_bytes;
        summary.files = summary.files.saturating_sub(continued);
        Ok(summary)
    }

    /// Compresses one of several objects.
    pub(super) fn part_encoding(&self, codec: Codec) -> Encoding {
        Encoding {
            threads: threads(AT_ONCE),
            ..self.encoding(codec)
        }
    }
}

impl<G: Guest, S: BlobStore> TreeUpload<'_, G, S> {
    /// Runs as many shards at once as the limiter allows, until all have arrived.
    async fn run_all(&self, there: Vec<bool>) -> Result<(Vec<Outcome>, Traffic, u64), Error> {
        let whole = self.bytes_of(&there);
        let mut continued = whole;
        let begun = there.iter().map(|there| match there {
            true => Outcome::Sent,
            false => Outcome::Waiting,
        });
        let mut outcomes: Vec<_> = begun.collect();
        let mut all = Traffic::default();
        let mut plan = Plan::new(self.tree.clone(), self.route.place.tools.dialect, there);
        let mut in_flight = FuturesUnordered::new();
        loop {
            while in_flight.len() < self.limiter.most_tasks() {
                match plan.next(self.limiter.size(plan.left())) {
                    Some(work) => in_flight.push(self.run(work)),
                    None => break,
                }
            }
            let Some(done) = in_flight.next().await else {
                // A file of which parts were there is one that this try copied.
                all.bytes += continued - whole;
                return Ok((outcomes, all, continued));
            };
            let mut moved = Traffic::default();
            match done? {
                TaskOutcome::Batch(came, by) => {
                    for (entry, outcome) in came {
                        outcomes[entry] = outcome;
                    }
                    moved = by;
                }
                TaskOutcome::Opened(large, strays, there) => {
                    continued += there;
                    if !strays.is_empty() {
                        plan.insert_entries(strays);
                    }
                    plan.insert_file(&large);
                }
                TaskOutcome::Lost(entries, outcome) => {
                    for entry in entries {
                        outcomes[entry] = outcome;
                    }
                }
                TaskOutcome::Part(by) => moved = by,
                TaskOutcome::File(large, Stability::Again, by) => {
                    moved = by;
                    self.job.changed_again(&large);
                    let again = large
                        .again(self.limiter.parts(u64::MAX))
                        .map_err(|error| Error::local("read", &large.shown, error))?;
                    plan.insert_file(&Arc::new(again));
                }
                TaskOutcome::File(large, still, by) => {
                    moved = by;
                    for &entry in &large.entries {
                        outcomes[entry] = if still == Stability::Yes {
                            Outcome::Sent
                        } else {
                            Outcome::Changed
                        };
                    }
                }
            }
            if moved.wire > 0 {
                self.limiter.record(moved.bytes);
            }
            all.bytes += moved.bytes;
            all.wire += moved.wire;
        }
    }

    async fn run(&self, work: Task) -> Result<TaskOutcome, Error> {
        match work {
            Task::Batch(batch) => self.batch(batch).await,
            Task::Open(entries) => self.open(entries).await,
            Task::Part(large, range) if range.is_empty() => {
                self.file(large, Traffic::default()).await
            }
            Task::Part(large, range) => {
                let bytes = range.end - range.start;
                self.wait_until(Ready::PartialFile).await?;
                let wire = self
                    .job
                    .part(&self.route, &self.limiter, &large, range)
                    .await?;
                let moved = Traffic { bytes, wire };
                if large.arrived() {
                    self.file(large, moved).await
                } else {
                    Ok(TaskOutcome::Part(moved))
                }
            }
        }
    }

    /// Sends some entries until they are in place.
    async fn batch(&self, batch: Batch) -> Result<TaskOutcome, Error> {
        let number = self.number();
        let extent = Extent::Part {
            above: batch.above,
            shared: batch.shared,
        };
        let above = match &extent {
            Extent::Part { above, .. } => above.len() as u64,
            _ => 0,
        };
        let mut portion = Portion {
            name: String::new(),
            entries: batch.entries,
            extent,
            encoding: self.job.part_encoding(self.route.codec),
        };
        let (mut retries, mut attempt, mut wire) = (Retries::default(), 0, 0);
        loop {
            portion.name = format!("{number}-{attempt}");
            attempt += 1;
            let permit = self.limiter.acquire().await;
            let (ledger, archives) = self
                .job
                .archives(&self.tree, self.route.place, &portion)
                .await?;
            drop(permit);
            wire += archives.iter().map(|sent| sent.wire_bytes).sum::<u64>();
            self.wait_until(Ready::Clear).await?;
            let members = ledger.sent() + above;
            let put = self.put(&portion.name, Role::Part, Some(members), archives);
            match put.await {
                Ok(()) => {
                    let bytes = ledger.bytes;
                    self.note(ledger.stamps());
                    let came = ledger.outcomes().collect();
                    return Ok(TaskOutcome::Batch(came, Traffic { bytes, wire }));
                }
                Err(error) => retries.again(error).await?,
            }
        }
    }

    /// Unpacks archives in a folder of their own, and moves what they hold into place.
    async fn put(
        &self,
        name: &str,
        role: Role,
        members: Option<u64>,
        archives: Vec<Archive>,
    ) -> Result<(), Error> {
        let place = self.route.place;
        let mut objects = Vec::new();
        for (reading, sent) in archives.iter().enumerate() {
            let (own, url) = (format!("{name}-{reading}"), &sent.object.download);
            let object = self.job.object(place, &self.route.stage, &own, url).await?;
            objects.push((object, sent.value, sent.sum));
        }
        let put = self.put_objects(name, role, members, objects).await;
        for sent in &archives {
            self.job.store.mark_done(&sent.object.download);
        }
        put
    }

    async fn put_objects(
        &self,
        name: &str,
        role: Role,
        members: Option<u64>,
        archives: Vec<(Object, u64, Option<u32>)>,
    ) -> Result<(), Error> {
        let place = self.route.place;
        let stage = match role {
            Role::Last => self.route.stage.clone(),
            _ => format!("{}/part-{name}", self.route.stage),
        };
        let root = self.tree.root.filter(|_| self.is_new);
        let put = PutTree {
            path: &place.path,
            stage: &stage,
            nonce: &self.job.nonce,
            members,
            root: root.map(|meta| (meta.mode, meta.modified)),
            dialect: place.tools.dialect,
            codec: self.route.codec,
            local_modes: self.tree.local_modes(),
            role,
            archives,
        };
        script::put_tree(self.job.guest, put).await
    }

    /// Opens a file that is to go in parts.
    async fn open(&self, entries: Vec<usize>) -> Result<TaskOutcome, Error> {
        let (tree, number, size) = (
            self.tree.clone(),
            self.number(),
            self.limiter.parts(u64::MAX),
        );
        let (folder, incomplete) = (self.route.place.path.clone(), self.job.settings.incomplete);
        let progress = self.job.progress.clone();
        let place = self.tree.place(&self.tree.entries[entries[0]]);
        let opening = blocking(move || {
            let entry = &tree.entries[entries[0]];
            let shown = tree.shown(entry);
            progress.file(&path_bytes::shown(tree.place(entry).as_bytes()));
            let failed = |error| Error::local("open", &shown, error);
            let source = &tree.sources[entry.source];
            let opened = source.folder().and_then(|folder| {
                let (parent, own) = entry.path.split().unwrap_or_default();
                let own = path_bytes::from_bytes(own).unwrap_or_default();
                let mut descent = FolderStack::new(folder);
                descent.to(&parent)?.open_file(&own)
            });
            let file = match opened {
                Ok(file) => file,
                Err(error) if gone(&error) => return Ok(Opening::Lost(entries, Outcome::Vanished)),
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                    if incomplete == Incomplete::Stop {
                        return Err(Error::Unreadable(vec![shown]));
                    }
                    return Ok(Opening::Lost(entries, Outcome::Unreadable));
                }
                Err(error) => return Err(failed(error)),
            };
            let meta = Folder::file_meta(&file).map_err(failed)?;
            if meta.kind != Kind::File {
                return Ok(Opening::Lost(entries, Outcome::Special));
            }
            let (names, strays) = entries.into_iter().partition(|&entry| {
                let entry = &tree.entries[entry];
                entry
                    .one_of
                    .as_deref()
                    .is_none_or(|one| *one == meta.identity)
            });
            let mut words = Vec::new();
            let names: Vec<usize> = names;
            for &entry in &names {
                trailer::quoted(&tree.place(&tree.entries[entry]), &mut words).map_err(failed)?;
            }
            let (file, named) = ((file, meta), (folder, words));
            let large = LargeFile::new((names, place), shown, file, named, number);
            Ok(Opening::File(Box::new(large), strays))
        });
        let (large, strays) = match opening.await? {
            Opening::File(large, strays) => (*large, strays),
            Opening::Lost(entries, outcome) => return Ok(TaskOutcome::Lost(entries, outcome)),
        };
        self.wait_until(Ready::PartialFile).await?;
        let (large, continued) = self.job.cut(&self.route, large, size).await?;
        Ok(TaskOutcome::Opened(Arc::new(large), strays, continued))
    }

    fn bytes_of(&self, there: &[bool]) -> u64 {
        let entries = self.tree.entries.iter().zip(there);
        entries
            .filter(|(_, there)| **there)
            .map(|(entry, _)| entry.size)
            .sum()
    }

    /// Ends a file whose parts have all arrived.
    async fn file(&self, large: Arc<LargeFile>, moved: Traffic) -> Result<TaskOutcome, Error> {
        let still = large.stability()?;
        if still == Stability::Yes {
            self.wait_until(Ready::Clear).await?;
            self.job.finish(&self.route, &large).await?;
            let stamp = |&entry| (entry, large.meta.size, large.meta.modified);
            self.note(large.entries.iter().map(stamp));
        } else if still == Stability::Never && self.job.settings.incomplete == Incomplete::Stop {
            return Err(Error::Changed(vec![large.shown.clone()]));
        }
        Ok(TaskOutcome::File(large, still, moved))
    }

    /// Gives all folders their modes and times, and makes those that nothing lies in.
    async fn last(&self) -> Result<(), Error> {
        let entries = &self.tree.entries;
        let folders = (0..entries.len()).filter(|&entry| entries[entry].kind == Kind::Folder);
        let folders: Vec<_> = folders.collect();
        if folders.is_empty() && !self.is_new {
            return script::remove(self.job.guest, std::slice::from_ref(&self.route.stage)).await;
        }
        if self.is_new {
            // What earlier tries left may lie in the target, whose time comes last.
            let cleanup = &self.job.settings.cleanup;
            tidy_earlier(self.job.guest, cleanup, &*self.job.progress).await;
        }
        let mut portion = Portion {
            name: String::new(),
            entries: folders,
            extent: Extent::Folders,
            encoding: self.job.part_encoding(self.route.codec),
        };
        let (mut retries, mut attempt) = (Retries::default(), 0);
        let small = self.small_last(&portion.entries).await?;
        loop {
            portion.name = format!("last-{attempt}");
            attempt += 1;
            let put = if let Some((bytes, members)) = &small {
                let archive = (Object::Inline(bytes.clone()), *members, None);
                self.put_objects(&portion.name, Role::Last, None, vec![archive])
                    .await
            } else {
                let place = self.route.place;
                let (_, archives) = self.job.archives(&self.tree, place, &portion).await?;
                self.put(&portion.name, Role::Last, None, archives).await
            };
            match put {
                Ok(()) => return Ok(()),
                Err(error) => retries.again(error).await?,
            }
        }
    }

    /// The archive of the folders with its members, if it is so small that it travels inside the command. A codec without a checksum
    /// needs an object, which has one.
    async fn small_last(&self, folders: &[usize]) -> Result<Option<(Vec<u8>, u64)>, Error> {
        let codec = self.route.codec;
        if codec == Codec::None || folders.len() > MOST_INLINE {
            return Ok(None);
        }
        let (tree, entries) = (self.tree.clone(), folders.to_vec());
        let marker = format!("end-{}-0", self.job.nonce);
        let dialect = self.route.place.tools.dialect;
        blocking(move || {
            let mut ledger = Results::new(entries.clone());
            let shard = Shard {
                tree: &tree,
                entries,
                extent: Extent::Folders,
                marker,
                dialect,
            };
            let mut packed = || -> Result<_, Stop> {
                let mut out = codec.encoder(Vec::new(), 1)?;
                let members = pack::pack(&shard, &mut ledger, &Silent, &mut out)?;
                Ok((out.finish()?, members))
            };
            match packed() {
                Ok((bytes, members)) => {
                    Ok((bytes.len() as u64 <= SMALL).then_some((bytes, members)))
                }
                Err(Stop::Failed(error)) => Err(error),
                Err(Stop::Closed(error)) => Err(Error::Worker(error.to_string())),
            }
        })
        .await
    }

    /// Which files an earlier try brought, that are now as they were then at both ends.
    async fn there(&self, missing: bool) -> Result<Vec<bool>, Error> {
        let entries = &self.tree.entries;
        let mut there = vec![false; entries.len()];
        let Some(journal) = self.job.settings.cleanup.journal() else {
            return Ok(there);
        };
        let came = |(index, entry): (usize, &Entry)| {
            let place = self.tree.place(entry);
            let stamp = (entry.size, entry.modified);
            let same = entry.kind == Kind::File
                && entry.one_of.is_none()
                && journal.arrived_earlier(&place) == Some(stamp);
            same.then_some((index, place))
        };
        let came: Vec<_> = entries.iter().enumerate().filter_map(came).collect();
        if missing || came.is_empty() || !self.job.settings.trusts_notes() {
            return Ok(there);
        }
        let places: Vec<_> = came.iter().map(|(_, place)| place.clone()).collect();
        self.wait_until(Ready::PartialFile).await?;
        let stamps = self.job.stamps(&self.route, &places).await?;
        for ((index, _), stamp) in came.into_iter().zip(stamps) {
            let entry = &entries[index];
            // Where the tools of a VM know no parts of a second, none were kept.
            let whole = Mtime {
                nanos: 0,
                ..entry.modified
            };
            let is_as_noted = |noted| {
                stamp.is_some_and(|(size, time, mode)| {
                    let keeps = self.tree.local_modes() == LocalModes::Unknown;
                    (size, time) == (entry.size, noted) && (keeps || mode == entry.mode)
                })
            };
            there[index] = [entry.modified, whole].into_iter().any(is_as_noted);
            if there[index] {
                self.job.progress.advance(entry.size);
            }
        }
        Ok(there)
    }

    /// Writes down what is in its place.
    fn note(&self, stamps: impl Iterator<Item = (usize, u64, Mtime)>) {
        if let Some(journal) = self.job.settings.cleanup.journal() {
            let files = stamps.filter(|(entry, ..)| self.tree.entries[*entry].kind == Kind::File);
            journal.arrived(files.map(|(entry, size, modified)| {
                (self.tree.place(&self.tree.entries[entry]), size, modified)
            }));
        }
    }

    /// Fails if something stands where something of another kind is to go.
    async fn clashes(&self) -> Result<(), Error> {
        let tree = self.tree.clone();
        let written = blocking(move || {
            questions::clashes(&tree)
                .map_err(|error| Error::local("list", PathBuf::from("the copy"), error))
        });
        self.job.ask(&self.route, written.await?, 0).await.map(drop)
    }

    async fn wait_until(&self, wanted: Ready) -> Result<(), Error> {
        let mut ready = self.ready.clone();
        ready
            .wait_for(|ready| *ready >= wanted)
            .await
            .map(drop)
            .map_err(|error| Error::Worker(error.to_string()))
    }

    fn number(&self) -> usize {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }
}
