//! Settings: the files of the user, the environment, and how they meet the options of one command line.
//!
//! - `config.toml` is shared with the official client and holds the context `default` ([`shared`]);
//! - `contexts.toml` names further places ([`contexts`]), `credentials.toml` keeps their keys ([`credentials`]);
//! - [`resolve()`] is the only place where option, environment, context and default meet. Everything else in the crate
//!   gets the plain values of [`Settings`].

pub(crate) mod access;
mod command;
pub mod contexts;
pub mod credentials;
pub mod env;
mod error;
mod file;
mod headers;
pub mod key;
mod paths;
mod resolve;
mod settings;
pub mod shared;
mod terminal;
mod url;
mod write;

pub use contexts::{DEFAULT_CONTEXT, LOCAL_CONTEXT};
pub use env::Environment;
pub use error::Error;
pub use key::KeySource;
pub use paths::Paths;
pub(crate) use paths::UserFolders;
#[cfg(target_os = "linux")]
pub(crate) use resolve::egress;
pub use resolve::resolve;
pub use settings::{Api, Named, Remote, Settings};
pub use terminal::Terminal;
pub use url::{BaseUrl, DEFAULT_URL, PlainHttp};
pub(crate) use write::{lock_folder, make_private_folder, replace_foreign};
