//! Everything a person or a program reads: data on stdout, talk on stderr.
//!
//! Commands and the error reporter speak to this room; it reads no environment and knows no HTTP.

pub mod control;
pub mod error;
pub mod human;
pub mod json;
pub mod record;

pub use error::Error;
pub use record::Record;
