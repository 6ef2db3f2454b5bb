//! What all verbs share.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::local::folder::Folder;
use crate::local::options::Options;
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
    key: ApiKey,
    address: SocketAddr,
}

impl Core {
    /// Opens the data folder for an engine that listens on `address`.
    pub(crate) fn open(options: Options, address: SocketAddr) -> Result<Arc<Self>, local::Error> {
        let folder = Folder::open(&options.data)?;
        let store = Store::open(&folder.database())?;
        let key = match options.api_key {
            Some(key) => key,
            None => key::read_or_make(&folder.key())?,
        };
        let org_id = org_id(&store).map_err(|source| local::Error::Store {
            path: folder.database(),
            source,
        })?;
        Ok(Arc::new(Self {
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
}

/// The account that everything here belongs to: one a data folder.
fn org_id(store: &Store) -> rusqlite::Result<String> {
    let fresh = uuid::Uuid::new_v4().to_string().into_bytes();
    let value = settings::read_or_set(store, "org_id", fresh)?;
    Ok(String::from_utf8_lossy(&value).into_owned())
}
