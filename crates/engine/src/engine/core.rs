//! What all verbs share.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::Error;
use super::consoles::ConsoleTokens;
use super::deferred_removal::DeferredRemoval;
use super::guest_listeners::GuestListeners;
use super::machines::Machines;

use crate::blobs::{Objects, Signer};
use crate::egress::{Reach, ReservedPort};
use crate::folder::Folder;
use crate::options::{Egress, Options};
use crate::presence::Presence;
use crate::store::{Store, settings};
use crate::{key, reserve};
use fastvm_api::secret::ApiKey;
use fastvm_api::types::quota::QuotaValues;
use fastvm_sandbox::{self, Host, HostOptions};

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
    pub(super) listeners: GuestListeners,
    pub(super) console_tokens: ConsoleTokens,
    pub(super) objects: Objects,
    pub(super) signer: Signer,
    /// The port of the proxy in VMs and what it reaches, if they have one.
    pub(super) proxy: Option<(ReservedPort, Reach)>,
    trash: DeferredRemoval,
    /// Whether a keeper is about to be started.
    pub(super) keeper_is_wanted: Arc<AtomicBool>,
    _presence: Presence,
    key: ApiKey,
    address: SocketAddr,
}

impl Core {
    /// Opens the data folder for an engine that listens on `address`.
    pub(crate) fn open(options: Options, address: SocketAddr) -> Result<Arc<Self>, crate::Error> {
        fastvm_sandbox::let_large_writes_fail();
        match Self::open_once(options.clone(), address) {
            // What opening writes is little: it fits in what was kept for this.
            Err(error) if error.is_full() && reserve::give_up(&Folder::at(&options.data)) => {
                Self::open_once(options, address)
            }
            other => other,
        }
    }

    fn open_once(options: Options, address: SocketAddr) -> Result<Arc<Self>, crate::Error> {
        let (folder, presence) = open_folder(&options)?;
        let store = Store::open(&folder)?;
        let key = match options.api_key {
            Some(key) => key,
            None => key::read_or_make(&folder.key())?,
        };
        let database = folder.database();
        let fail = crate::Error::store(&database);
        let org_id = org_id(&store).map_err(&fail)?;
        let secret =
            settings::read_or_set(&store, "blob_secret", key::random_bytes::<32>()?.to_vec())
                .map_err(&fail)?;
        let proxy = match options.egress {
            Egress::None => None,
            Egress::Proxy { named } => {
                let port = ReservedPort::take().map_err(crate::Error::System)?;
                Some((port, Reach::new(named)))
            }
        };
        let host = Arc::new(Host::detect(HostOptions {
            program: options.program,
            data: folder.root().to_owned(),
            rootfs: options.rootfs,
        })?);
        reserve::ensure(&folder);
        Ok(Arc::new(Self {
            trash: DeferredRemoval::new(folder.trash(), host.clone()),
            machines: Machines::default(),
            listeners: GuestListeners::default(),
            console_tokens: ConsoleTokens::default(),
            proxy,
            keeper_is_wanted: Arc::default(),
            _presence: presence,
            objects: Objects::new(folder.blobs()),
            signer: Signer::new(&secret),
            host,
            host_boot: crate::host_boot()?,
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

    /// Starts and ends a machine, whatever is known of earlier ones.
    pub(crate) fn try_machine(&self) -> Result<(), crate::Error> {
        Ok(self.host.try_machine(&self.folder.root().join("images"))?)
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

    /// Waits, not longer than told, for what goes on in the background, and leaves VMs that run to a keeper.
    pub(crate) fn settle(&self, patience: Duration) {
        self.leave_to_keeper();
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

/// Opens the data folder and says that an engine works there.
fn open_folder(options: &Options) -> Result<(Folder, Presence), crate::Error> {
    loop {
        let folder = Folder::open(&options.data)?;
        let presence = Presence::announce(&folder)?;
        // A reset may have removed it while this waited.
        if presence.is_current(&folder) {
            return Ok((folder, presence));
        }
    }
}

/// The account that everything here belongs to: one a data folder.
fn org_id(store: &Store) -> rusqlite::Result<String> {
    let fresh = uuid::Uuid::new_v4().to_string().into_bytes();
    let value = settings::read_or_set(store, "org_id", fresh)?;
    Ok(String::from_utf8_lossy(&value).into_owned())
}
