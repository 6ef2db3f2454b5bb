//! Cleaning up after processes that died. Every step is safe beside others that work on the same data folder.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use super::{Core, Error, clock};
use crate::store::{blobs, credentials, snapshots, stacks, vms, volumes};
use fastvm_api::types::vm::status;

/// How long staging objects are kept.
const KEEP_TIME: Duration = Duration::from_secs(24 * 60 * 60);

/// How much of what processes that died had left was finished or removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Swept {
    /// VMs and snapshots that were half-made or half-deleted.
    pub(crate) half_made: usize,
    pub(crate) folders: usize,
    pub(crate) objects: usize,
}

impl Core {
    /// Finishes or undoes what other processes left half-made, and removes what has had its time.
    pub(crate) fn sweep(&self) -> Result<Swept, Error> {
        let half_made = self.half_made()?;
        let mut swept = Swept::default();
        let mut count = |removed: Result<usize, Error>| removed.map(|some| swept.folders += some);
        // What resists in one place is no reason to leave the others.
        let all: Result<(), Error> = [
            self.store.complete_records().map_err(Error::from),
            self.finish_verbs(),
            count(self.sweep_folder(&self.folder.vms(), vms::ids)),
            count(self.sweep_folder(&self.folder.layers(), stacks::used)),
            count(self.sweep_folder(&self.folder.volumes(), volumes::ids)),
            count(self.sweep_folder(&self.folder.credentials(), credentials::ids)),
            self.sweep_blobs().map(|some| swept.objects = some),
            self.sweep_groups(),
            self.empty_trash(),
            self.resume_keeping(),
        ]
        .into_iter()
        .collect();
        all?;
        swept.half_made = half_made.saturating_sub(self.half_made()?);
        Ok(swept)
    }

    /// How many VMs and snapshots are being made or deleted, by whomever.
    fn half_made(&self) -> Result<usize, Error> {
        let vms = self.store.read(vms::unfinished)?.len();
        Ok(vms + self.store.read(snapshots::creating)?.len())
    }

    /// Finishes or undoes what processes that died were doing with VMs and snapshots.
    pub(crate) fn finish_verbs(&self) -> Result<(), Error> {
        let mut outcome = Ok(());
        for id in self.store.read(vms::unfinished)? {
            match self.finish_verb_on(&id) {
                Ok(()) | Err(Error::NotFound { .. }) => {}
                Err(error) => outcome = Err(error),
            }
        }
        outcome.and(self.finish_snapshots())
    }

    /// A verb holds its VM. One that nobody holds lost its process.
    fn finish_verb_on(&self, id: &str) -> Result<(), Error> {
        let Some(held) = self.try_hold(id)? else {
            return Ok(());
        };
        if [status::PROVISIONING, status::DELETING].contains(&held.vm.status.as_str()) {
            self.abandon(&held.vm)?;
        }
        Ok(())
    }

    /// Removes what is in a folder without being known. What others make appears in the transaction that makes it
    /// known, so in a transaction nothing can be on its way.
    fn sweep_folder(
        &self,
        folder: &Path,
        known: impl Fn(&rusqlite::Connection) -> rusqlite::Result<HashSet<String>>,
    ) -> Result<usize, Error> {
        let strangers = |known: HashSet<String>| {
            let found = names_in(folder)
                .map_err(Error::file(format!("cannot read {}", folder.display())))?;
            // Uploads that are under way have the id of their object before a dot.
            let id = |name: &OsString| Some(name.to_str()?.split('.').next()?.to_owned());
            let is_strange = |name: &OsString| id(name).is_none_or(|id| !known.contains(&id));
            Ok::<_, Error>(found.into_iter().filter(is_strange).collect::<Vec<_>>())
        };
        // Mostly there are none, and then nobody has to wait for us.
        if strangers(self.store.read(&known)?)?.is_empty() {
            return Ok(0);
        }
        self.store.write(|transaction| {
            let mut known = known(transaction)?;
            // What was lost is no rubbish: `local repair` brings it back.
            for lost in self.store.records().without_row(transaction)? {
                known.extend([lost.text("id").to_owned(), lost.text("upper").to_owned()]);
                known.extend(lost.layers);
            }
            let strangers = strangers(known)?;
            strangers
                .iter()
                .try_for_each(|name| self.throw(&folder.join(name)))?;
            Ok(strangers.len())
        })
    }

    /// A VM has a row before it has control groups.
    fn sweep_groups(&self) -> Result<(), Error> {
        let is_known = |id: &str| !matches!(self.vm_row(id), Err(Error::NotFound { .. }));
        self.host.remove_stale_groups(is_known);
        Ok(())
    }

    fn sweep_blobs(&self) -> Result<usize, Error> {
        let mut removed = 0;
        let oldest = clock::now_ms() - KEEP_TIME.as_millis() as i64;
        if self
            .store
            .read(|connection| blobs::has_older(connection, oldest))?
        {
            let old = self
                .store
                .write(|transaction| blobs::remove_older(transaction, oldest))?;
            old.iter()
                .try_for_each(|id| self.throw(&self.folder.blob(id)))?;
            removed = old.len();
        }
        Ok(removed + self.sweep_folder(&self.folder.blobs(), blobs::all)?)
    }
}

fn names_in(folder: &Path) -> io::Result<Vec<OsString>> {
    fs::read_dir(folder)?
        .map(|entry| Ok(entry?.file_name()))
        .collect()
}
