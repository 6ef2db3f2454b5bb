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
//! Each folder knows only those above it in this list, besides the files beside this one:
//! - `format`: tar, compression, checksums
//! - `disk`: local files, packed, unpacked and put in place
//! - `guest`: the VM and the storage, as traits; the scripts in the VM
//! - `resume`: what a copy has made, to clean up after it or to take it up again
//! - `engine`: uploads, downloads, and copies between VMs
//! - [`sync`]: comparing both ends first

pub mod disk;
pub mod engine;
pub mod error;
pub mod format;
#[cfg(all(unix, any(test, fuzzing)))]
#[doc(hidden)]
pub mod fuzzing;
pub mod guest;
pub mod options;
pub mod progress;
pub mod resume;
pub mod summary;
pub mod sync;

pub use disk::filter::Filter;
pub use disk::selection::Selection;
pub use engine::preview::{Preview, preview_download, preview_upload};
pub use engine::rate_limit::RateLimit;
pub use engine::relay::{RelayRequest, relay};
pub use engine::request::{
    DownloadRequest, DownloadTarget, RemotePath, Settings, UploadRequest, UploadSource,
};
pub use engine::shards::Shards;
pub use engine::{download, upload};
pub use error::{Error, RemoteClass, RemoteError};
pub use format::channel::ByteStream;
pub use guest::endpoint::{Endpoint, System, parse};
pub use guest::guest_path::shown as shown_guest_path;
pub use guest::remote::{
    BlobStore, Body, Deadline, Guest, GuestCommand, GuestOutput, StagingObject,
};
pub use guest::vm::Vm;
pub use options::{Compression, Incomplete, Links};
pub use progress::{Progress, Silent};
pub use resume::cleanup::{Cleanup, clean_up};
pub use resume::journal::Journal;
pub use summary::{SkipReason, Skipped, Summary};

/// Files up to this many bytes travel inside one command, without a staging object.
const SMALL: u64 = 256 * 1024;

/// How often something that changed meanwhile is read again.
const READINGS: u32 = 3;

/// A word that no other transfer uses.
fn nonce() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// Does work that waits for disks on a thread of its own.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::Worker(error.to_string()))?
}
