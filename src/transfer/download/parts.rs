//! A folder that is larger than a shard: several shards at once, each moved into place as soon as it has arrived whole.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;

use super::large_file::Big;
use super::transport::Holds;
use super::resumed::Earlier;
use super::plan::{Plan, Work, rest};
use super::tar_report::Said;
use super::{Job, blocking, check_space};
use crate::transfer::READINGS;
use crate::transfer::codec::Codec;
use crate::transfer::error::Error;
use crate::transfer::folder::{Kind, Meta};
use crate::transfer::journal::{Begun, Noted};
use crate::transfer::install::{Parts, TreeLanding};
use crate::transfer::member_path::MemberPath;
use crate::transfer::mtime::Moment;
use crate::transfer::path_bytes;
use crate::transfer::progress::Steady;
use crate::transfer::receive::{Input, receive};
use crate::transfer::remote::{BlobStore, Guest};
use crate::transfer::request::{Incomplete, Links};
use crate::transfer::retry::Retries;
use crate::transfer::script::{self, Entry, Listed, SendTree, Share, Surveyed, Tools};
use crate::transfer::shards::Gauge;
use crate::transfer::summary::{SkipReason, Skipped, Summary};
use crate::transfer::unpack::{Limits, Unpacked, unpack};

/// What a shard may hold beyond what the survey found, besides one part in a hundred: files grow.
const SLACK_BYTES: u64 = 1024 * 1024;

/// A folder on its way here.
struct Arrival<'a, G, S> {
    job: &'a Job<'a, G, S>,
    path: &'a str,
    tools: &'a Tools,
    codec: Codec,
    entries: Arc<Vec<Surveyed>>,
    landing: Arc<Parts>,
    gauge: Gauge,
    numbers: AtomicUsize,
    /// All files are in their places.
    landed: watch::Receiver<bool>,
}

/// When something is moved into place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    AtOnce,
    /// Links and folders.
    AfterFiles,
}

/// What a piece of work came to.
#[derive(Default)]
struct Done {
    unpacked: Unpacked,
    skipped: Vec<Skipped>,
    wire: u64,
    /// Bytes of a file that an earlier try had brought.
    continued: u64,
    /// A file that changed while its parts were read.
    again: Option<Arc<Big>>,
}

impl<G: Guest, S: BlobStore> Job<'_, G, S> {
    /// Whether folders may come in parts: each is named to the VM, and goes by the storage.
    pub(super) fn comes_in_parts(&self, tools: &Tools) -> bool {
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
            script::survey(self.guest, path),
            self.store.ask_ahead(&name)
        );
        let mut entries = entries?;
        if let Some(only) = only {
            let only: HashSet<_> = only.into_iter().map(|listed| listed.path).collect();
            entries.retain(|entry| only.contains(&entry.path));
        }
        let special = entries.extract_if(.., |entry| entry.kind == Kind::Special);
        let special = special.map(|entry| Skipped {
            path: path_bytes::shown(entry.path.as_bytes()),
            reason: SkipReason::Special,
        });
        let special: Vec<_> = special.collect();
        let entries = Arc::new(entries);
        let bytes = entries.iter().map(|entry| entry.size).sum();
        let data = entries.iter().map(|entry| entry.data).sum();
        let files = entries.iter().filter(|entry| entry.kind != Kind::Folder);
        self.progress.total(Some(bytes), Some(files.count() as u64));
        let (nonce, planned, at) = (self.nonce.clone(), entries.clone(), target.clone());
        let (noted, earlier) = (self.noted.clone(), self.earlier());
        let landing = blocking(move || {
            let landing = TreeLanding::prepare(&earlier, &at, &nonce)?;
            let mut landing = landing.begin(|made| {
                let noted = noted.as_ref();
                noted.map_or(made, |noted| noted.made_target(&at, made))
            })?;
            landing.check(planned.iter().map(|entry| (&entry.path, entry.kind)))?;
            let Some(noted) = noted else {
                check_space(landing.free_bytes(), data, &at)?;
                return Ok((landing, vec![false; planned.len()], Vec::new()));
            };
            let there = there(&landing, &planned, &noted);
            let begun = begun(&landing, &planned, &there, &noted);
            landing.let_go();
            let kept = begun.iter().flat_map(|(_, _, begun)| &begun.ranges);
            let kept: u64 = kept.map(|part| part.end - part.start).sum();
            let arrived = planned.iter().zip(&there).filter(|(_, there)| **there);
            let arrived: u64 = arrived.map(|(entry, _)| entry.data).sum();
            let needed = data.saturating_sub(kept.saturating_add(arrived));
            check_space(landing.free_bytes(), needed, &at)?;
            Ok((landing, there, begun))
        });
        let (landing, there, taken) = landing.await?;
        let mut begun = HashMap::new();
        for (index, file, earlier) in taken {
            let place = &entries[index].path;
            let (source, temp) = (below(path, place), landing.temp(&staged(index, 0)));
            let kept = self.keep((&source, tools), (place, &temp), (file, earlier));
            begun.insert(index, kept.await?);
        }
        let (tell, landed) = watch::channel(false);
        let arrival = Arrival {
            job: self,
            path,
            tools,
            codec,
            entries,
            landing: Arc::new(landing),
            gauge: Gauge::new(self.settings.shards),
            numbers: AtomicUsize::new(0),
            landed,
        };
        let files = async {
            let summary = arrival.fly(&there, begun).await?;
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
        summary.skipped.splice(0..0, special);
        Ok(summary)
    }
}

impl<G: Guest, S: BlobStore> Arrival<'_, G, S> {
    /// Keeps as many shards in the air as make sense, until all have landed.
    async fn fly(&self, there: &[bool], begun: HashMap<usize, Earlier>) -> Result<Summary, Error> {
        let mut summary = Summary::default();
        let mut plan = Plan::new(self.entries.clone(), there, begun);
        for (entry, there) in self.entries.iter().zip(there) {
            if *there {
                self.job.progress.advance(entry.size);
            }
        }
        let mut flying = FuturesUnordered::new();
        loop {
            while flying.len() < self.gauge.at_work() {
                match plan.next(self.gauge.parts(plan.left())) {
                    Some(work) => flying.push(self.work(work)),
                    None => break,
                }
            }
            let Some(done) = flying.next().await else {
                return Ok(summary);
            };
            let done = done?;
            if done.wire > 0 {
                self.gauge.landed(done.unpacked.bytes);
            }
            if let Some(big) = &done.again {
                self.changed_again(1);
                plan.insert_file(&Arc::new(big.again()), self.gauge.parts(u64::MAX));
            }
            count(&mut summary, done);
        }
    }

    async fn work(&self, work: Work) -> Result<Done, Error> {
        match work {
            Work::Batch(batch) => self.batch(&batch, Share::Part, Turn::AtOnce).await,
            Work::Part(big, range) => {
                let own = big.places.first().cloned().unwrap_or_default();
                let path = below(self.path, &own);
                self.job.progress.file(&path_bytes::shown(own.as_bytes()));
                let staged = file_name(&big);
                let file = big.file(|| self.landing.create(&staged))?;
                let about = (path.as_str(), self.tools, self.codec);
                let bytes = range.end - range.start;
                let part = (big.as_ref(), range.clone());
                let wire = match self.job.part(about, &self.gauge, part, file).await {
                    Err(Error::RemoteMissing(_)) => {
                        big.vanished();
                        0
                    }
                    brought => brought?,
                };
                let temp = self.landing.temp(&staged);
                self.job.note_part(&own, big.stamp(), &temp, &range);
                let mut done = Done {
                    wire,
                    ..Done::default()
                };
                done.unpacked.bytes = bytes;
                if big.arrived() {
                    self.file(&big, &mut done).await?;
                }
                Ok(done)
            }
        }
    }

    /// Ends a file whose parts have all arrived.
    async fn file(&self, big: &Arc<Big>, done: &mut Done) -> Result<(), Error> {
        let staged = file_name(big);
        let Some(status) = big.settled() else {
            self.landing.forget(&staged);
            done.unpacked.bytes = 0;
            let has_vanished = big.has_vanished();
            if !has_vanished && big.reading + 1 < READINGS {
                done.again = Some(big.clone());
                return Ok(());
            }
            let paths = big.places.iter().map(|place| path_bytes::shown(place.as_bytes()));
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
        let (landing, file) = (
            self.landing.clone(),
            big.file(|| self.landing.create(&staged))?,
        );
        let (places, size) = (big.places.clone(), big.size);
        blocking(move || {
            file.set_len(size)
                .map_err(|error| Error::local("write", PathBuf::from(&staged), error))?;
            landing.place_file(&staged, &file, (status.mode, status.modified), &places)
        })
        .await?;
        done.unpacked.files = big.places.len() as u64;
        done.continued = big.earlier.as_ref().map_or(0, Earlier::bytes);
        self.note(std::iter::once(big.number));
        Ok(())
    }

    /// Brings some entries until they are in place.
    async fn batch(&self, batch: &[usize], share: Share, turn: Turn) -> Result<Done, Error> {
        let listed: Vec<_> = batch
            .iter()
            .map(|&index| Listed {
                path: self.entries[index].path.clone(),
                kind: match self.entries[index].kind {
                    Kind::Folder => Entry::Folder,
                    Kind::Special => Entry::Special,
                    Kind::File | Kind::Link => Entry::File,
                },
            })
            .collect();
        let bytes = batch.iter().map(|&index| self.entries[index].size);
        let bytes: u64 = bytes.sum();
        let progress = Arc::new(Steady::new(self.job.progress.clone()));
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
                        self.landing.forget(&name);
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
                    if turn == Turn::AfterFiles {
                        self.wait_for_files().await?;
                    }
                    let landing = self.landing.clone();
                    let left_out = blocking(move || {
                        let left_out = landing.leave_out(&name, &said.torn)?;
                        landing.place(&name)?;
                        Ok(left_out)
                    });
                    let left_out = left_out.await?;
                    done.unpacked.files = done.unpacked.files.saturating_sub(left_out);
                    self.note(batch.iter().copied());
                    done.wire = wire;
                    return Ok(done);
                }
                Err(error) => {
                    self.landing.forget(&name);
                    retries.again(error).await?;
                }
            }
        }
    }

    /// Brings some entries once; answers with those that changed meanwhile.
    async fn batch_once(
        &self,
        listed: &[Listed],
        share: Share,
        (name, bytes): (&str, u64),
        progress: &Arc<Steady>,
    ) -> Result<(Done, Said), Error> {
        let job = self.job;
        let delivery = job.deliver(self.tools, self.codec, Holds::Tree).await?;
        let brought = async {
            let tree = SendTree {
                path: self.path,
                codec: self.codec,
                flavor: self.tools.flavor,
                links: Links::Keep,
                only: Some(listed),
                share,
                way: &delivery.way,
            };
            let Some(announced) = script::send_tree(job.guest, tree).await? else {
                return Err(Error::Worker(
                    "a limit was kept that was not set".to_owned(),
                ));
            };
            let what = job.settings.what_counts();
            let mut said = Said::read(&announced, self.tools.flavor, what, self.path)?;
            let members = listed.len() as u64 + u64::from(share == Share::Rest);
            let limits = Limits {
                members,
                bytes: bytes
                    .saturating_add(bytes / 100)
                    .saturating_add(SLACK_BYTES),
            };
            let (landing, name, watch) = (self.landing.clone(), name.to_owned(), progress.clone());
            let unpack = move |input: Input| unpack(input, landing.open(&name)?, limits, &*watch);
            let ready = delivery.ready(&announced.made, self.path)?;
            let _lane = self.gauge.lane().await;
            let (unpacked, wire) = receive(job.guest, job.store, ready, unpack).await?;
            if said.complete && announced.still && unpacked.members != members {
                let reason = format!("{} members arrived instead of {members}", unpacked.members);
                return Err(Error::integrity(self.path, reason));
            }
            let done = Done {
                unpacked,
                skipped: std::mem::take(&mut said.skipped),
                wire,
                ..Done::default()
            };
            Ok((done, said))
        };
        let brought = brought.await;
        job.end(delivery).await;
        brought
    }

    async fn wait_for_files(&self) -> Result<(), Error> {
        let mut landed = self.landed.clone();
        let landed = landed.wait_for(|landed| *landed).await;
        landed
            .map(drop)
            .map_err(|error| Error::Worker(error.to_string()))
    }

    /// Links, and folders with their modes and times: they come beside the files, and are put in place after them.
    async fn rest(&self) -> Result<Summary, Error> {
        let mut summary = Summary::default();
        let mut folders: Vec<(MemberPath, u32, Moment)> = Vec::new();
        for (number, batch) in rest(&self.entries).into_iter().enumerate() {
            let share = if number == 0 {
                Share::Rest
            } else {
                Share::Part
            };
            let mut done = self.batch(&batch, share, Turn::AfterFiles).await?;
            folders.append(&mut done.unpacked.folders);
            count(&mut summary, done);
        }
        let named = folders.iter().filter(|(path, ..)| !path.is_root());
        summary.folders = named.count() as u64;
        let landing = self.landing.clone();
        blocking(move || landing.finish(&folders)).await?;
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
fn there(landing: &Parts, entries: &[Surveyed], noted: &Noted) -> Vec<bool> {
    let is_there = |entry: &Surveyed| {
        let stamp = Some((entry.size, entry.modified));
        entry.kind == Kind::File
            && entry.one_of.is_none()
            && noted.arrived_before(&entry.path) == stamp
    };
    let candidates: Vec<_> = entries.iter().map(is_there).collect();
    let paths = entries.iter().map(|entry| &entry.path).zip(&candidates);
    let paths = paths.map(|(path, candidate)| candidate.then_some(path));
    let found = landing.stamps(paths);
    let same = |(entry, found): (&Surveyed, Option<Meta>)| {
        let stamp = (entry.size, entry.modified);
        found.is_some_and(|meta| meta.is_as(stamp, entry.mode))
    };
    entries.iter().zip(found).map(same).collect()
}

/// Takes over the large files of which an earlier try brought something, as the VM still has them.
fn begun(
    landing: &Parts,
    entries: &[Surveyed],
    there: &[bool],
    noted: &Noted,
) -> Vec<(usize, File, Begun)> {
    let take_over = |(index, (entry, there)): (usize, (&Surveyed, &bool))| {
        let begun = noted.begun(&entry.path, (entry.size, entry.modified));
        let begun = begun.filter(|_| entry.kind == Kind::File && !there)?;
        let name = staged(index, 0);
        let file = landing.take_over(&begun.temp, &name)?;
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
fn file_name(big: &Big) -> String {
    staged(big.number, big.reading)
}

fn staged(number: usize, reading: u32) -> String {
    format!("file-{number}-{reading}")
}

fn count(summary: &mut Summary, done: Done) {
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
