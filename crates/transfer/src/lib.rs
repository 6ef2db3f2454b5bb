//! Copying files and folders between this machine and a VM: the engine of `cp`.
//!
//! It knows neither a screen nor HTTP: a VM is a [`Guest`], the storage a [`BlobStore`], whoever watches a [`Progress`].
//!
//! ```text
//! upload     tree ─► pack ─► codec ─► PUT ─► VM: get, check, unpack beside, move into place
//! download   VM: pack, codec, PUT ─► GET ─► codec ─► archive ─► unpack beside, check, move into place
//! ```
//!
//! [`Vm`] is a VM of the v1 API as a guest and as a storage:
//!
//! ```
//! use std::sync::Arc;
//!
//! use fastvm_api::Client;
//! use fastvm_transfer::{Error, RemotePath, Settings, Silent, UploadRequest, UploadSource, Vm, upload};
//!
//! async fn send(client: &Client, id: &str, folder: &str, into: &str) -> Result<(), Error> {
//!     let vm = Vm::new(client.clone(), id);
//!     let request = UploadRequest {
//!         source: UploadSource::Paths(vec![folder.into()]),
//!         target: RemotePath { path: into.to_owned(), into: true },
//!         settings: Settings::default(),
//!     };
//!     let summary = upload(&vm, &vm, Arc::new(Silent), request).await?;
//!     println!("{} files", summary.files);
//!     Ok(())
//! }
//! # #[cfg(target_os = "linux")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use fastvm_api::{types::{exec::ExecRequest, vm::LaunchRequest}, wait::Wait};
//! # let engine = fastvm_testing::TestEngine::start()?;
//! # let client = Client::builder(engine.url()).api_key(engine.key().clone()).build()?;
//! # let vm = client.launch_vm(&LaunchRequest::of_type("c1m2")).await?;
//! # let id = &vm.value.id;
//! # client.wait_until_running(id, Wait::default()).await?.ready()?;
//! # let folder = tempfile::tempdir()?;
//! # std::fs::create_dir(folder.path().join("src"))?;
//! # std::fs::write(folder.path().join("src/file"), "hello")?;
//! # let source = folder.path().join("src").display().to_string();
//! # send(&client, id, &source, "/root/").await?;
//! # let command = ExecRequest::new(["cat", "/root/src/file"]);
//! # assert_eq!(client.exec(id, &command).await?.output().await?.stdout, b"hello");
//! # Ok(())
//! # }
//! # #[cfg(not(target_os = "linux"))]
//! # fn main() {}
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
pub use disk::local_modes::LocalModes;
pub use disk::scope::{Observer, Scope};
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
