//! A folder that is larger than a shard: several shards at once, each moved into place as soon as it has arrived whole.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;

use super::large_file::LargeFile;
use super::plan::{Plan, Task, rest};
use super::resumed::Resumed;
use super::tar_report::TarReport;
use super::transport::ArchiveKind;
use super::{Download, check_space};
use crate::READINGS;
use crate::blocking;
use crate::disk::folder::{Kind, Meta};
use crate::disk::install::{PartsInstall, TreeInstall};
use crate::disk::local_names::LocalNames;
use crate::disk::unpack::{Limits, Unpacked, unpack};
use crate::engine::receive::{Input, receive};
use crate::engine::shards::Limiter;
use crate::error::Error;
use crate::format::codec::Codec;
use crate::format::member_path::MemberPath;
use crate::format::mtime::Mtime;
use crate::format::path_bytes;
use crate::guest::remote::{BlobStore, Guest};
use crate::guest::retry::Retries;
use crate::guest::script::{self, Entry, Listed, ListedSize, SendTree, Share, Tools};
use crate::options::{Incomplete, Links};
use crate::progress::RetryProgress;
use crate::resume::journal::{Noted, PartialFile};
use crate::summary::{SkipReason, Skipped, Summary};

/// What a shard may hold beyond what the survey found, besides one part in a hundred: files grow.
const SLACK_BYTES: u64 = 1024 * 1024;

/// A folder on its way here.
struct TreeDownload<'a, G, S> {
    job: &'a Download<'a, G, S>,
    path: &'a str,
    tools: &'a Tools,
    codec: Codec,
    entries: Arc<Vec<ListedSize>>,
    install: Arc<PartsInstall>,
    names: Arc<LocalNames>,
    limiter: Limiter,
    numbers: AtomicUsize,
    /// All files are in their places.
    files_installed: watch::Receiver<bool>,
}

/// When something is moved into place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum InstallOrder {
    AtOnce,
    /// Links and folders.
    AfterFiles,
}

/// What a piece of work came to.
#[derive(Default)]
struct TaskOutcome {
    unpacked: Unpacked,
    skipped: Vec<Skipped>,
    wire: u64,
    /// Bytes of a file that an earlier try had brought.
    continued: u64,
    /// A file that changed while its parts were read.
    again: Option<Arc<LargeFile>>,
}

impl<G: Guest, S: BlobStore> Download<'_, G, S> {
    /// Returns whether folders may come in parts: each is named to the VM, and goes by the storage.
    pub(super) fn can_use_parts(&self, tools: &Tools) -> bool {
        tools.has("curl") && tools.has("dd") && self.settings.links == Links::Keep
    }

    pub(super) async fn parts(
        &self,
        path: &str,
        tools: &Tools,
        codec: Codec,
        only: Option<Vec<Listed>>,
        target: PathBuf,
    ) -> Result<Summary, Error> {
        let name = self.object_name();
        let (entries, ()) = tokio::join!(
            script::list_sizes(self.guest, path),
            self.store.presign_early(&name)
        );
        let mut entries = entries?;
        if let Some(only) = only {
            let only: HashSet<_> = only.into_iter().map(|listed| listed.path).collect();
            entries.retain(|entry| only.contains(&entry.path));
        }
        let special = entries.extract_if(.., |entry| entry.kind.is_special());
        let special = special.map(|entry| Skipped {
            path: path_bytes::shown(entry.path.as_bytes()),
            reason: SkipReason::Special,
        });
        let special: Vec<_> = special.collect();
        let (nonce, at) = (self.nonce.clone(), target.clone());
        let incomplete = self.settings.incomplete;
        let (noted, earlier) = (self.noted.clone(), self.earlier());
        let install = blocking(move || {
            let install = TreeInstall::prepare(&earlier, &at, &nonce)?;
            let names = LocalNames::new(install.folds_case(), incomplete);
            let mut planned = Vec::with_capacity(entries.len());
            for entry in entries {
                if names.admit(&entry.path)? {
                    planned.push(entry);
                }
            }
            let data = planned.iter().map(|entry| entry.data).sum();
            let mut install = install.begin(|made| {
                let noted = noted.as_ref();
                noted.map_or(made, |noted| noted.record_new_target(&at, made))
            })?;
            install.check(planned.iter().map(|entry| (&entry.path, entry.kind)))?;
            let Some(noted) = noted else {
                check_space(install.free_bytes(), data, &at)?;
                let there = vec![false; planned.len()];
                return Ok(((install, names), planned, there, Vec::new()));
            };
            let there = there(&install, &planned, &noted);
            let begun = begun(&install, &planned, &there, &noted);
            install.let_go();
            let kept = begun.iter().flat_map(|(_, _, begun)| &begun.ranges);
            let kept: u64 = kept.map(|part| part.end - part.start).sum();
            let arrived = planned.iter().zip(&there).filter(|(_, there)| **there);
            let arrived: u64 = arrived.map(|(entry, _)| entry.data).sum();
            let needed = data.saturating_sub(kept.saturating_add(arrived));
            check_space(install.free_bytes(), needed, &at)?;
            Ok(((install, names), planned, there, begun))
        });
        let ((install, names), entries, there, taken) = install.await?;
        let bytes = entries.iter().map(|entry| entry.size).sum();
        let files = entries.iter().filter(|entry| entry.kind != Kind::Folder);
        self.progress.total(Some(bytes), Some(files.count() as u64));
        let entries = Arc::new(entries);
        let mut begun = HashMap::new();
        for (index, file, earlier) in taken {
            let place = &entries[index].path;
            let (source, temp) = (below(path, place), install.temp(&staged(index, 0)));
            let kept = self.keep((&source, tools), (place, &temp), (file, earlier));
            begun.insert(index, kept.await?);
        }
        let (tell, files_installed) = watch::channel(false);
        let arrival = TreeDownload {
            job: self,
            path,
            tools,
            codec,
            entries,
            install: Arc::new(install),
            names: Arc::new(names),
            limiter: Limiter::new(self.settings.shards),
            numbers: AtomicUsize::new(0),
            files_installed,
        };
        let files = async {
            let summary = arrival.run_all(&there, begun).await?;
            // Whoever waits for it may have failed.
            let _ = tell.send(true);
            Ok(summary)
        };
        let (mut summary, rest) = tokio::try_join!(files, arrival.rest())?;
        summary.add(rest);
        summary.continued = there.iter().filter(|there| **there).count() as u64;
        let continued = arrival.entries.iter().zip(&there);
        let continued = continued.filter(|(_, there)| **there);
        summary.continued_bytes += continued.map(|(entry, _)| entry.size).sum::<u64>();
        summary.skipped.extend(arrival.names.left_out());
        summary.skipped.splice(0..0, special);
        Ok(summary)
    }
}

impl<G: Guest, S: BlobStore> TreeDownload<'_, G, S> {
    /// Runs as many shards at once as the limiter allows, until all have arrived.
    async fn run_all(
        &self,
        there: &[bool],
        begun: HashMap<usize, Resumed>,
    ) -> Result<Summary, Error> {
        let mut summary = Summary::default();
        let mut plan = Plan::new(self.entries.clone(), there, begun);
        for (entry, there) in self.entries.iter().zip(there) {
            if *there {
                self.job.progress.advance(entry.size);
            }
        }
        let mut in_flight = FuturesUnordered::new();
        loop {
            while in_flight.len() < self.limiter.most_tasks() {
                match plan.next(self.limiter.parts(plan.left())) {
                    Some(work) => in_flight.push(self.run(work)),
                    None => break,
                }
            }
            let Some(done) = in_flight.next().await else {
                return Ok(summary);
            };
            let done = done?;
            if done.wire > 0 {
                self.limiter.record(done.unpacked.bytes);
            }
            if let Some(large) = &done.again {
                self.changed_again(1);
                plan.insert_file(&Arc::new(large.again()), self.limiter.parts(u64::MAX));
            }
            count(&mut summary, done);
        }
    }

    async fn run(&self, work: Task) -> Result<TaskOutcome, Error> {
        match work {
            Task::Batch(batch) => self.batch(&batch, Share::Part, InstallOrder::AtOnce).await,
            Task::Part(large, range) => {
                let own = large.places.first().cloned().unwrap_or_default();
                let path = below(self.path, &own);
                self.job.progress.file(&path_bytes::shown(own.as_bytes()));
                let staged = file_name(&large);
                let file = large.file(|| self.install.create(&staged))?;
                let about = (path.as_str(), self.tools, self.codec);
                let bytes = range.end - range.start;
                let part = (large.as_ref(), range.clone());
                let wire = match self.job.part(about, &self.limiter, part, file).await {
                    Err(Error::RemoteMissing(_)) => {
                        large.vanished();
                        0
                    }
                    brought => brought?,
                };
                let temp = self.install.temp(&staged);
                self.job.note_part(&own, large.stamp(), &temp, &range);
                let mut done = TaskOutcome {
                    wire,
                    ..TaskOutcome::default()
                };
                done.unpacked.bytes = bytes;
                if large.arrived() {
                    self.file(&large, &mut done).await?;
                }
                Ok(done)
            }
        }
    }

    /// Ends a file whose parts have all arrived.
    async fn file(&self, large: &Arc<LargeFile>, done: &mut TaskOutcome) -> Result<(), Error> {
        let staged = file_name(large);
        let Some(status) = large.final_status() else {
            self.install.forget(&staged);
            done.unpacked.bytes = 0;
            let has_vanished = large.has_vanished();
            if !has_vanished && large.reading + 1 < READINGS {
                done.again = Some(large.clone());
                return Ok(());
            }
            let paths = large
                .places
                .iter()
                .map(|place| path_bytes::shown(place.as_bytes()));
            let reason = match has_vanished {
                true => SkipReason::Vanished,
                false if self.job.settings.incomplete == Incomplete::Stop => {
                    return Err(Error::Changed(paths.collect()));
                }
                false => SkipReason::Changed,
            };
            done.skipped
                .extend(paths.map(|path| Skipped { path, reason }));
            return Ok(());
        };
        let (install, file) = (
            self.install.clone(),
            large.file(|| self.install.create(&staged))?,
        );
        let (places, size) = (large.places.clone(), large.size);
        blocking(move || {
            file.set_len(size)
                .map_err(|error| Error::local("write", PathBuf::from(&staged), error))?;
            install.place_file(&staged, &file, (status.mode, status.modified), &places)
        })
        .await?;
        done.unpacked.files = large.places.len() as u64;
        done.continued = large.earlier.as_ref().map_or(0, Resumed::bytes);
        self.note(std::iter::once(large.number));
        Ok(())
    }

    /// Brings some entries until they are in place.
    async fn batch(
        &self,
        batch: &[usize],
        share: Share,
        order: InstallOrder,
    ) -> Result<TaskOutcome, Error> {
        let listed: Vec<_> = batch
            .iter()
            .map(|&index| Listed {
                path: self.entries[index].path.clone(),
                kind: match self.entries[index].kind {
                    Kind::Folder => Entry::Folder,
                    Kind::Special(_) => Entry::Special,
                    Kind::File | Kind::Link => Entry::File,
                },
            })
            .collect();
        let bytes = batch.iter().map(|&index| self.entries[index].size);
        let bytes: u64 = bytes.sum();
        let progress = Arc::new(RetryProgress::new(self.job.progress.clone()));
        let (mut retries, mut readings, mut wire) = (Retries::default(), 0, 0);
        loop {
            progress.again();
            let name = format!("part-{}", self.numbers.fetch_add(1, Ordering::Relaxed));
            let got = self.batch_once(&listed, share, (&name, bytes), &progress);
            match got.await {
                Ok((mut done, said)) => {
                    wire += done.wire;
                    readings += 1;
                    let is_still = said.changed.is_empty();
                    if !is_still && readings < READINGS {
                        self.install.forget(&name);
                        self.changed_again(said.changed.len());
                        continue;
                    }
                    let stops = self.job.settings.incomplete == Incomplete::Stop;
                    if !is_still && (stops || said.all_changed) {
                        return Err(Error::Changed(said.changed_paths(self.path)));
                    }
                    let changed = said.changed_paths(self.path).into_iter();
                    done.skipped.extend(changed.map(|path| Skipped {
                        path,
                        reason: SkipReason::Changed,
                    }));
                    if order == InstallOrder::AfterFiles {
                        self.wait_for_files().await?;
                    }
                    let install = self.install.clone();
                    let left_out = blocking(move || {
                        let left_out = install.leave_out(&name, &said.torn)?;
                        install.place(&name)?;
                        Ok(left_out)
                    });
                    let left_out = left_out.await?;
                    done.unpacked.files = done.unpacked.files.saturating_sub(left_out);
                    self.note(batch.iter().copied());
                    done.wire = wire;
                    return Ok(done);
                }
                Err(error) => {
                    self.install.forget(&name);
                    retries.again(error).await?;
                }
            }
        }
    }

    /// Brings some entries once; returns those that changed meanwhile.
    async fn batch_once(
        &self,
        listed: &[Listed],
        share: Share,
        (name, bytes): (&str, u64),
        progress: &Arc<RetryProgress>,
    ) -> Result<(TaskOutcome, TarReport), Error> {
        let job = self.job;
        let transport = job
            .request_object(self.tools, self.codec, ArchiveKind::Tree)
            .await?;
        let brought = async {
            let tree = SendTree {
                path: self.path,
                codec: self.codec,
                dialect: self.tools.dialect,
                links: Links::Keep,
                only: Some(listed),
                share,
                way: &transport.way,
            };
            let Some(announced) = script::send_tree(job.guest, tree).await? else {
                return Err(Error::Worker(
                    "a limit was kept that was not set".to_owned(),
                ));
            };
            let what = job.settings.what_counts();
            let mut said = TarReport::read(&announced, self.tools.dialect, what, self.path)?;
            let members = listed.len() as u64 + u64::from(share == Share::Rest);
            let limits = Limits {
                members,
                bytes: bytes
                    .saturating_add(bytes / 100)
                    .saturating_add(SLACK_BYTES),
            };
            let (install, names) = (self.install.clone(), self.names.clone());
            let (name, watch) = (name.to_owned(), progress.clone());
            let unpack =
                move |input: Input| unpack(input, install.open(&name)?, limits, &names, &*watch);
            let ready = transport.ready(&announced.made, self.path)?;
            let _permit = self.limiter.acquire().await;
            let (unpacked, wire) = receive(job.guest, job.store, ready, unpack).await?;
            if said.complete && announced.still && unpacked.members != members {
                let reason = format!("{} members arrived instead of {members}", unpacked.members);
                return Err(Error::integrity(self.path, reason));
            }
            let done = TaskOutcome {
                unpacked,
                skipped: std::mem::take(&mut said.skipped),
                wire,
                ..TaskOutcome::default()
            };
            Ok((done, said))
        };
        let brought = brought.await;
        job.release(transport).await;
        brought
    }

    async fn wait_for_files(&self) -> Result<(), Error> {
        let mut files_installed = self.files_installed.clone();
        let files_installed = files_installed
            .wait_for(|files_installed| *files_installed)
            .await;
        files_installed
            .map(drop)
            .map_err(|error| Error::Worker(error.to_string()))
    }

    /// Links, and folders with their modes and times: they come beside the files, and are put in place after them.
    async fn rest(&self) -> Result<Summary, Error> {
        let mut summary = Summary::default();
        let mut folders: Vec<(MemberPath, u32, Mtime)> = Vec::new();
        for (number, batch) in rest(&self.entries).into_iter().enumerate() {
            let share = if number == 0 {
                Share::Rest
            } else {
                Share::Part
            };
            let mut done = self.batch(&batch, share, InstallOrder::AfterFiles).await?;
            folders.append(&mut done.unpacked.folders);
            count(&mut summary, done);
        }
        let named = folders.iter().filter(|(path, ..)| !path.is_root());
        summary.folders = named.count() as u64;
        let install = self.install.clone();
        blocking(move || install.finish(&folders)).await?;
        Ok(summary)
    }

    /// Writes down what is in its place, as the survey found it: what is otherwise by now is brought again another time.
    fn note(&self, entries: impl Iterator<Item = usize>) {
        if let Some(noted) = &self.job.noted {
            let entries = entries.map(|entry| &self.entries[entry]);
            let files = entries.filter(|entry| entry.kind == Kind::File);
            noted.arrived(files.map(|entry| (entry.path.clone(), entry.size, entry.modified)));
        }
    }

    fn changed_again(&self, count: usize) {
        self.job.progress.warn(format!(
            "{count} files in the VM changed while being read; they are sent again"
        ));
    }
}

/// Which files an earlier try brought, that are now as they were then at both ends.
fn there(install: &PartsInstall, entries: &[ListedSize], noted: &Noted) -> Vec<bool> {
    let is_there = |entry: &ListedSize| {
        let stamp = Some((entry.size, entry.modified));
        entry.kind == Kind::File
            && entry.one_of.is_none()
            && noted.arrived_earlier(&entry.path) == stamp
    };
    let candidates: Vec<_> = entries.iter().map(is_there).collect();
    let paths = entries.iter().map(|entry| &entry.path).zip(&candidates);
    let paths = paths.map(|(path, candidate)| candidate.then_some(path));
    let found = install.stamps(paths);
    let same = |(entry, found): (&ListedSize, Option<Meta>)| {
        let stamp = (entry.size, entry.modified);
        found.is_some_and(|meta| meta.is_as(stamp, entry.mode))
    };
    entries.iter().zip(found).map(same).collect()
}

/// Takes over the large files of which an earlier try brought something, as the VM still has them.
fn begun(
    install: &PartsInstall,
    entries: &[ListedSize],
    there: &[bool],
    noted: &Noted,
) -> Vec<(usize, File, PartialFile)> {
    let take_over = |(index, (entry, there)): (usize, (&ListedSize, &bool))| {
        let begun = noted.begun(&entry.path, (entry.size, entry.modified));
        let begun = begun.filter(|_| entry.kind == Kind::File && !there)?;
        let name = staged(index, 0);
        let file = install.take_over(&begun.temp, &name)?;
        Some((index, file, begun))
    };
    let entries = entries.iter().zip(there).enumerate();
    entries.filter_map(take_over).collect()
}

/// A path below the folder that is copied, in the VM.
fn below(folder: &str, path: &MemberPath) -> String {
    format!("{}/{path}", folder.trim_end_matches('/'))
}

/// What the file is called while its parts arrive.
fn file_name(large: &LargeFile) -> String {
    staged(large.number, large.reading)
}

fn staged(number: usize, reading: u32) -> String {
    format!("file-{number}-{reading}")
}

fn count(summary: &mut Summary, done: TaskOutcome) {
    summary.files += done.unpacked.files;
    summary.bytes += done.unpacked.bytes + done.continued;
    summary.continued_bytes += done.continued;
    summary.wire_bytes += done.wire;
    summary.skipped.extend(done.skipped);
    let special = done.unpacked.special.into_iter().map(|path| Skipped {
        path,
        reason: SkipReason::Special,
    });
    summary.skipped.extend(special);
}
