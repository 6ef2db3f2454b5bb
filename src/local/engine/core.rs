//! What all verbs share.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Error;
use super::consoles::ConsoleTokens;
use super::doors::Doors;
use super::machines::Machines;
use super::trash::Trash;

use crate::local::blobs::{Objects, Signer};
use crate::local::egress::{Reach, ReservedPort};
use crate::local::folder::Folder;
use crate::local::options::{Egress, Options};
use crate::local::sandbox::{Host, HostOptions};
use crate::local::store::{Store, settings};
use crate::local::{self, key};
use crate::secret::ApiKey;
use crate::wire::quota::QuotaValues;

/// One engine: the state, and what its verbs are done with. The verbs block; none is async unless it says so.
#[derive(Debug)]
pub(crate) struct Core {
    pub(super) store: Store,
    pub(super) folder: Folder,
    pub(super) quotas: QuotaValues,
    pub(super) org_id: String,
    pub(super) host: Arc<Host>,
    /// Tells this run of the computer from others.
    pub(super) host_boot: String,
    pub(super) machines: Machines,
    pub(super) doors: Doors,
    pub(super) console_tokens: ConsoleTokens,
    pub(super) objects: Objects,
    pub(super) signer: Signer,
    /// The port of the proxy in VMs and what it reaches, if they have one.
    pub(super) proxy: Option<(ReservedPort, Reach)>,
    trash: Trash,
    /// Says that an engine works on the data folder, as long as it is open.
    presence: File,
    key: ApiKey,
    address: SocketAddr,
}

/// How long an engine that ends may hold on to the data folder.
const ENDING: Duration = Duration::from_secs(2);
const BREATH: Duration = Duration::from_millis(20);

impl Core {
    /// Opens the data folder for an engine that listens on `address`.
    pub(crate) fn open(options: Options, address: SocketAddr) -> Result<Arc<Self>, local::Error> {
        let folder = Folder::open(&options.data)?;
        let presence = announce(&folder)?;
        let store = Store::open(&folder.database())?;
        let key = match options.api_key {
            Some(key) => key,
            None => key::read_or_make(&folder.key())?,
        };
        let fail = |source| local::Error::Store {
            path: folder.database(),
            source,
        };
        let org_id = org_id(&store).map_err(fail)?;
        let secret =
            settings::read_or_set(&store, "blob_secret", key::random_bytes::<32>()?.to_vec())
                .map_err(fail)?;
        let proxy = match options.egress {
            Egress::None => None,
            Egress::Proxy { named } => {
                let port = ReservedPort::take().map_err(local::Error::System)?;
                Some((port, Reach::new(named)))
            }
        };
        let host = Arc::new(Host::detect(HostOptions {
            program: options.program,
            data: folder.root().to_owned(),
            rootfs: options.rootfs,
        })?);
        Ok(Arc::new(Self {
            trash: Trash::new(folder.trash(), host.clone()),
            machines: Machines::default(),
            doors: Doors::default(),
            console_tokens: ConsoleTokens::default(),
            proxy,
            presence,
            objects: Objects::new(folder.blobs()),
            signer: Signer::new(&secret),
            host,
            host_boot: host_boot()?,
            store,
            folder,
            quotas: options.quotas,
            org_id,
            key,
            address,
        }))
    }

    /// The key that callers must present.
    pub(crate) fn key(&self) -> &ApiKey {
        &self.key
    }

    /// The port of the proxy in VMs and what it reaches, if they have one.
    pub(crate) fn proxy(&self) -> Option<(u16, Reach)> {
        self.proxy
            .as_ref()
            .map(|(port, reach)| (port.number(), reach.clone()))
    }

    /// Where the engine listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL for callers on this machine, and for what runs in a VM.
    pub(crate) fn url(&self) -> String {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        format!("http://{address}")
    }

    /// The data folder.
    pub(crate) fn data(&self) -> &Path {
        self.folder.root()
    }

    /// Makes sure that no other engine works on the data folder, from now on. One that is just ending, or the keeper of
    /// TTLs, which is one for a moment, is waited for.
    pub(crate) fn take_alone(&self) -> Result<(), local::Error> {
        let given_up = Instant::now() + ENDING;
        while self.presence.try_lock().is_err() {
            if Instant::now() >= given_up {
                let path = self.data().to_owned();
                return Err(local::Error::Busy { path });
            }
            std::thread::sleep(BREATH);
        }
        Ok(())
    }

    /// Waits, not longer than told, for what goes on in the background.
    pub(crate) fn settle(&self, patience: Duration) {
        self.trash.settle(patience);
    }

    /// Removes what other processes threw away and did not come to remove.
    pub(super) fn empty_trash(&self) -> Result<(), Error> {
        self.trash
            .empty()
            .map_err(Error::file("cannot read the trash"))
    }

    /// Takes a file or tree out of its place, to be removed later.
    pub(super) fn throw(&self, path: &Path) -> Result<(), Error> {
        self.trash
            .throw(path)
            .map_err(Error::file(format!("cannot remove {}", path.display())))
    }
}

/// Tells other processes that an engine works here. Waits while one empties the folder.
fn announce(folder: &Folder) -> Result<File, local::Error> {
    let path = folder.presence();
    let presence = File::create(&path).map_err(local::Error::at(&path))?;
    presence.lock_shared().map_err(local::Error::at(&path))?;
    Ok(presence)
}

/// The kernel's name for the time since it was started.
fn host_boot() -> Result<String, local::Error> {
    let path = "/proc/sys/kernel/random/boot_id";
    let text = std::fs::read_to_string(path).map_err(local::Error::at(path))?;
    Ok(text.trim().to_owned())
}

/// The account that everything here belongs to: one a data folder.
fn org_id(store: &Store) -> rusqlite::Result<String> {
    let fresh = uuid::Uuid::new_v4().to_string().into_bytes();
    let value = settings::read_or_set(store, "org_id", fresh)?;
    Ok(String::from_utf8_lossy(&value).into_owned())
}
