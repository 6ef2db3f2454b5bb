//! Copying files and folders between this machine and a VM: the engine of `cp`.
//!
//! It knows neither a screen nor HTTP: a VM is a [`Guest`], the storage a [`BlobStore`], whoever watches a [`Progress`].
//!
//! ```text
//! upload     tree ─► pack ─► codec ─► PUT ─► VM: get, check, unpack beside, move into place
//! download   VM: pack, codec, PUT ─► GET ─► codec ─► archive ─► unpack beside, check, move into place
//! ```
//!
//! # Layout
//! - [`endpoint`]: what an argument means
//! - [`request`], [`filter`], [`rate_limit`], [`shards`], [`journal`], [`summary`], [`preview`], [`progress`], [`error`]: what callers say and hear
//! - [`remote`]: what they provide
//! - `upload`, `download`: the two walks, over `send` and `receive`, which move one object each, and `staging`, which empties them; [`relay`](mod@relay): between two VMs
//! - [`sync`]: comparing both ends first, over `upload` and `download` of a [`selection`](Selection)
//! - `tree`, `pack`, `header`: from local files to an archive
//! - `archive`, `pax`, `unpack`, `landing`: from a VM's archive to local files
//! - `script`: what runs in the VM
//! - `folder`, `abandoned`, `member`, `name`, `moment`, `checksum`, `codec`, `gzip`, `channel`, `stderr`: the parts

pub mod cleanup;
pub mod endpoint;
pub mod error;
pub mod filter;
pub mod journal;
pub mod preview;
pub mod progress;
pub mod rate_limit;
pub mod relay;
pub mod remote;
pub mod request;
pub mod shards;
pub mod summary;
pub mod sync;

mod archive;
pub(crate) mod channel;
mod checksum;
mod codec;
mod compressible;
mod download;
mod folder;
#[cfg(all(unix, any(test, fuzzing)))]
pub(crate) mod fuzzing;
mod guest_path;
mod gzip;
mod header;
#[cfg(test)]
mod hostile;
mod install;
mod member_path;
mod mtime;
mod pack;
mod path_bytes;
mod pax;
mod receive;
mod retry;
mod script;
mod selection;
mod send;
mod staged_objects;
mod stale_folders;
mod stderr;
mod tree;
mod unpack;
mod upload;

pub use cleanup::{Cleanup, clean_up};
pub use download::download;
pub use endpoint::{Endpoint, System, parse};
pub use error::{Error, RemoteClass, RemoteError};
pub use filter::Filter;
pub use guest_path::shown as shown_guest_path;
pub use journal::Journal;
pub use preview::{Preview, preview_download, preview_upload};
pub use progress::{Progress, Silent};
pub use rate_limit::RateLimit;
pub use relay::{RelayRequest, relay};
pub use remote::{
    BlobStore, Body, ByteStream, Deadline, Guest, GuestCommand, GuestOutput, StagingObject,
};
pub use request::{
    Compression, DownloadRequest, DownloadTarget, Incomplete, Links, RemotePath, Settings,
    UploadRequest, UploadSource,
};
pub use script::{is_running, running};
pub use selection::Selection;
pub use shards::Shards;
pub use summary::{SkipReason, Skipped, Summary};
pub use upload::upload;

/// Files up to this many bytes travel inside one command, without a staging object.
const SMALL: u64 = 256 * 1024;

/// How often something that changed meanwhile is read again.
const READINGS: u32 = 3;

/// A word that no other transfer uses.
fn nonce() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
