//! The FastVM v1 API: a client, and the contract's [types].
//!
//! A VM is a Linux machine of one's own that starts in moments. This crate launches VMs, runs commands in them, and
//! moves files, snapshots and volumes. It reads no environment unless it is asked to, and prints nothing.
//!
//! ```
//! use fastvm_api::types::exec::ExecRequest;
//! use fastvm_api::types::vm::LaunchRequest;
//! use fastvm_api::wait::Wait;
//! use fastvm_api::{Client, Error};
//!
//! # #[cfg(not(target_os = "linux"))]
//! # fn main() {}
//! # #[cfg(target_os = "linux")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let engine = fastvm_testing::TestEngine::start()?;
//! # hello(engine.url(), engine.key().expose()).await?;
//! # Ok(())
//! # }
//! async fn hello(url: &str, key: &str) -> Result<(), Error> {
//!     let client = Client::builder(url).api_key(key).build()?;
//!     let vm = client.launch_vm(&LaunchRequest::of_type("c1m2")).await?;
//!     let id = &vm.value.id;
//!     client.wait_until_running(id, Wait::default()).await?.ready()?;
//!     let command = ExecRequest::new(["echo", "hello"]);
//!     let output = client.exec(id, &command).await?.output().await?;
//!     assert_eq!(output.stdout, b"hello\n");
//!     client.delete_vm(id).await?;
//!     Ok(())
//! }
//! ```
//!
//! # Answers
//!
//! Every answer is a [`Record`](types::Record): its typed `value` beside `json`, the text as the server sent it. So
//! nothing is lost that a newer server adds. Members that do not fit their type read as absent.
//!
//! # Failures
//!
//! [`Error`] says what failed, on which server, and why. Its [`source`](std::error::Error::source) is the error of the
//! layer below. Neither shows the API key or the query of a signed URL. [`Error::may_pass`] tells what is worth another
//! try, [`Error::is_outcome_unknown`] what may have been done all the same.
//!
//! # Features
//!
//! `client`, on by default, is the client. Without it the crate is only the [types], and depends on no HTTP.

#![warn(missing_docs)]

pub mod secret;
pub mod types;

#[cfg(feature = "client")]
mod client;
#[cfg(all(feature = "client", any(test, fuzzing)))]
pub use client::fuzzing;
#[cfg(feature = "client")]
pub use client::{
    Client, ClientBuilder, Error, Log, console, error, exec, is_loopback, raw, storage, vms, wait,
};
#[cfg(feature = "client")]
pub use reqwest::StatusCode;
