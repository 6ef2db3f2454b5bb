//! Bringing back what can be of a data folder whose state is damaged or lost.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use uuid::Uuid;

use super::disk::Space;
use super::folder::Folder;
use super::presence::Presence;
use super::store::records::{self, Record};
use super::store::{self, Store, credentials, settings, snapshots, stacks, vms, volumes};
use super::{Error, Options, key, maintenance, reserve};
use fastvm_api::types::volume::NATIVE;
use fastvm_sandbox::{self, Machine};

/// What a repair has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repair {
    /// What was wrong with the state. `None` if it was sound.
    pub problem: Option<String>,
    /// Where the damaged state is now, if there was any.
    pub moved: Option<PathBuf>,
    /// Whether there is a new API key.
    pub has_new_key: bool,
    /// What exists again.
    pub brought_back: Vec<Thing>,
    /// What does not.
    pub lost: Vec<Thing>,
}

/// A VM, a snapshot, a volume or a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thing {
    /// `vm`, `snapshot` …
    pub kind: String,
    /// Its id.
    pub id: String,
    /// What it is called; empty if that is not known.
    pub name: String,
    /// What is to be known of it; empty if nothing is.
    pub note: String,
}

/// Makes a new database from the records and what can be read of a damaged one, which is moved aside. In a sound one it
/// brings back only what has a record and no row.
///
/// VMs that run go on. What nothing is known of is moved to a folder of its own, and never removed. Refused while an engine
/// works on the folder.
///
/// # Errors
/// [`Error::Newer`] if the database is not damaged but of a newer version.
pub fn repair(options: &Options) -> Result<Repair, Error> {
    fastvm_sandbox::let_large_writes_fail();
    let folder = Folder::at(&options.data);
    let is_there = folder.root().exists();
    if !is_there && fastvm_sandbox::find_inits(folder.root())?.is_empty() {
        return Ok(Repair::default());
    }
    if Space::of(folder.root()).is_some_and(reserve::is_needed) {
        reserve::give_up(&folder);
    }
    let folder = Folder::open(&options.data)?;
    let _presence = Presence::take_alone(&folder)?;
    let mut report = Repair {
        problem: find_problem(&folder)?,
        ..Repair::default()
    };
    report.has_new_key = key::mend(&folder.key())?;
    if report.problem.is_some() {
        report.moved = move_aside(&folder)?;
    }
    let store = Store::open_to_repair(&folder)?;
    let damaged = report.moved.as_deref().map(store::open_damaged);
    let damaged = damaged.and_then(Result::ok);
    bring_back_settings(&store, damaged.as_ref())?;
    let known = known_things(&store, damaged.as_ref()).map_err(Error::store(&folder.database()))?;
    for record in known {
        let (thing, is_back) = bring_back(&folder, &store, record);
        let list = if is_back {
            &mut report.brought_back
        } else {
            &mut report.lost
        };
        list.push(thing);
    }
    if report.problem.is_some() {
        keep_unknown(&folder, &store, &mut report)?;
    }
    end_unknown(&folder, &store, &mut report)?;
    store
        .complete_records()
        .map_err(Error::store(&folder.database()))?;
    reserve::ensure(&folder);
    Ok(report)
}

/// What is wrong with the database, if it cannot be worked with.
fn find_problem(folder: &Folder) -> Result<Option<String>, Error> {
    match Store::open(folder) {
        Ok(store) => Ok(store.read(check).err().map(|error| error.to_string())),
        Err(Error::Damaged { problem, .. }) => Ok(Some(problem)),
        Err(Error::Lost { remains, .. }) => Ok(Some(format!("it is empty, but {remains}"))),
        Err(error) => Err(error),
    }
}

/// Reads all that is in a database.
fn check(connection: &Connection) -> rusqlite::Result<()> {
    let verdict: String =
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        return Err(rusqlite::Error::SqliteFailure(code, Some(verdict)));
    }
    vms::all(connection)?;
    snapshots::all(connection)?;
    volumes::all(connection)?;
    credentials::all(connection)?;
    stacks::used(connection)?;
    records::all_settings(connection)?;
    Ok(())
}

/// Gives the database and what belongs to it the next free name. Returns it, if there was a database.
fn move_aside(folder: &Folder) -> Result<Option<PathBuf>, Error> {
    let database = folder.database();
    let named = |number: u32| folder.root().join(format!("state.db.broken-{number}"));
    let is_free = |path: &PathBuf| fs::symlink_metadata(path).is_err();
    let Some(aside) = (1..).map(named).find(is_free) else {
        return Ok(None);
    };
    let mut moved = None;
    for (from, ending) in [
        (folder.database_log(), "-wal"),
        (folder.database_index(), "-shm"),
        (database, ""),
    ] {
        let mut to = aside.clone().into_os_string();
        to.push(ending);
        match fs::rename(&from, &to) {
            Ok(()) if ending.is_empty() => moved = Some(aside.clone()),
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::at(&from)(error)),
        }
    }
    Ok(moved)
}

/// Takes over what every engine on the folder shares.
fn bring_back_settings(store: &Store, damaged: Option<&Connection>) -> Result<(), Error> {
    let read = damaged.and_then(|damaged| records::all_settings(damaged).ok());
    let all: BTreeMap<_, _> = store
        .records()
        .settings()
        .into_iter()
        .chain(read.unwrap_or_default())
        .collect();
    let set = store.write(|transaction| {
        all.iter()
            .try_for_each(|(name, value)| settings::set(transaction, name, value))
    });
    set.map_err(|source: rusqlite::Error| Error::Refused(source.to_string()))
}

/// What should exist and has no row: by the records, and by the damaged database where there is none.
fn known_things(store: &Store, damaged: Option<&Connection>) -> rusqlite::Result<Vec<Record>> {
    let records = store.records();
    let mut known = store.read(|connection| records.without_row(connection))?;
    let ids: HashSet<_> = known
        .iter()
        .map(|record| record.text("id").to_owned())
        .collect();
    let salvaged = damaged.map(records::salvage).unwrap_or_default();
    known.extend(
        salvaged
            .into_iter()
            .filter(|record| !ids.contains(record.text("id"))),
    );
    Ok(known)
}

/// Makes the row of a thing again, if it is still there; says whether it is.
fn bring_back(folder: &Folder, store: &Store, mut record: Record) -> (Thing, bool) {
    let mut thing = Thing {
        kind: record.kind.clone(),
        id: record.text("id").to_owned(),
        name: record.text("name").to_owned(),
        note: String::new(),
    };
    let outcome = look(folder, &mut record).and_then(|note| {
        store
            .write(|transaction| records::insert(transaction, &record))
            .map(|number| (note, number))
            .map_err(|error: rusqlite::Error| format!("its record is damaged: {error}"))
    });
    let number = outcome.as_ref().ok().map(|(_, number)| *number);
    store.records().remove_tree(&record, number);
    thing.note = outcome.map_or_else(|reason| reason, |(note, _)| note);
    (thing, number.is_some())
}

/// Looks whether what a record tells of is there. Returns what is to be known of it, or why it cannot be brought back.
fn look(folder: &Folder, record: &mut Record) -> Result<String, String> {
    let id = record.text("id").to_owned();
    if Uuid::try_parse(&id).is_err() {
        return Err(format!("{id:?} is not an id"));
    }
    match record.kind.as_str() {
        "vm" => look_at_vm(folder, record, &id),
        "snapshot" => Ok(missing_layer(folder, record)
            .map(|layer| format!("layer {layer} is missing, so it cannot be restored"))
            .unwrap_or_default()),
        "volume" if record.text("backend") == NATIVE && !folder.volume(&id).is_dir() => {
            Err("its folder is gone".to_owned())
        }
        "credential" if !folder.credential(&id).is_file() => Err("its secret is gone".to_owned()),
        _ => Ok(String::new()),
    }
}

fn look_at_vm(folder: &Folder, record: &mut Record, id: &str) -> Result<String, String> {
    if !folder.layer(record.text("upper")).is_dir() {
        return Err("its disk is gone".to_owned());
    }
    let running = running_nonce(folder, id, record.text("nonce"));
    if let Some(nonce) = &running {
        record.row.insert("nonce".to_owned(), nonce.clone().into());
    }
    // What it lacks is made when it is used.
    fs::create_dir_all(folder.vm(id)).map_err(|error| error.to_string())?;
    let layer = missing_layer(folder, record);
    Ok(match (layer, running) {
        (Some(layer), _) => format!("layer {layer} is missing, so it cannot be booted again"),
        (None, Some(_)) => format!("it is {}", record.text("status")),
        (None, None) => "it is stopped".to_owned(),
    })
}

fn missing_layer(folder: &Folder, record: &Record) -> Option<String> {
    let missing = |layer: &&String| !folder.layer(layer).is_dir();
    record.layers.iter().find(missing).cloned()
}

/// Which boot of a VM is there: mostly the one of its record.
fn running_nonce(folder: &Folder, id: &str, recorded: &str) -> Option<String> {
    let id = Uuid::try_parse(id).ok()?;
    let sockets = maintenance::sockets(folder).into_iter();
    let mut nonces: Vec<_> = sockets.filter(|socket| socket.1 == id).collect();
    nonces.sort_by_key(|(_, _, nonce)| nonce.to_string() != recorded);
    let there = nonces
        .into_iter()
        .find(|(run, id, nonce)| Machine::is_there(run, *id, *nonce).unwrap_or(false));
    there.map(|(_, _, nonce)| nonce.to_string())
}

/// Ends what runs though its VM cannot be brought back; what nothing is known of is only told.
fn end_unknown(folder: &Folder, store: &Store, report: &mut Repair) -> Result<(), Error> {
    for init in fastvm_sandbox::find_inits(folder.root())? {
        let id = init.id().unwrap_or_default();
        let row = store.read(|connection| vms::get(connection, id));
        if row.map_err(Error::store(&folder.database()))?.is_some() {
            continue;
        }
        let is_vm = |thing: &&mut Thing| thing.kind == "vm" && thing.id == id;
        let thing = report.lost.iter_mut().find(is_vm);
        match thing {
            Some(thing) if !thing.name.is_empty() => {
                init.kill()?;
                thing.note.push_str("; what ran in it was ended");
            }
            Some(thing) => thing.note.push_str(STILL_RUNS),
            None => report.lost.push(Thing {
                kind: "vm".to_owned(),
                id: id.to_owned(),
                name: String::new(),
                note: format!("nothing is known of it{STILL_RUNS}"),
            }),
        }
    }
    Ok(())
}

/// What to say of a VM that is not brought back and runs.
const STILL_RUNS: &str = "; it still runs, `fastvm local reset` ends it";

/// Moves what no row knows to a folder of its own: a sweep would take it for rubbish.
fn keep_unknown(folder: &Folder, store: &Store, report: &mut Repair) -> Result<(), Error> {
    let fail = Error::store(Path::new("state.db"));
    let vms = store.read(vms::ids).map_err(&fail)?;
    let layers = store.read(stacks::used).map_err(&fail)?;
    let volumes = store.read(volumes::ids).map_err(&fail)?;
    let credentials = store.read(credentials::ids).map_err(&fail)?;
    for (kind, path, known) in [
        ("vm", folder.vms(), vms),
        ("layer", folder.layers(), layers),
        ("volume", folder.volumes(), volumes),
        ("credential", folder.credentials(), credentials),
    ] {
        for entry in fs::read_dir(&path).map_err(Error::at(&path))? {
            let name = entry.map_err(Error::at(&path))?.file_name();
            let id = name.to_string_lossy().into_owned();
            if known.contains(&id) {
                continue;
            }
            let lost = folder.lost().join(path.file_name().unwrap_or_default());
            fs::create_dir_all(&lost).map_err(Error::at(&lost))?;
            let to = lost.join(&name);
            fastvm_sandbox::remove_tree(&to)?;
            fs::rename(path.join(&name), &to).map_err(Error::at(&to))?;
            if !report.lost.iter().any(|thing| thing.id == id) {
                report.lost.push(Thing {
                    kind: kind.to_owned(),
                    id,
                    name: String::new(),
                    note: format!("nothing is known of it; it is kept in {}", to.display()),
                });
            }
        }
    }
    Ok(())
}
