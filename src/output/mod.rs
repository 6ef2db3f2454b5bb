//! Everything a person or a program reads: data on stdout, talk on stderr.
//!
//! Commands and the error reporter speak to this room; it reads no environment and knows no HTTP.

#[cfg(test)]
mod captured;
pub mod control;
mod csv;
mod data;
pub mod error;
mod grid;
pub mod human;
mod jq;
pub mod json;
mod plain;

pub mod settings;
pub mod table;
mod tabular;
pub mod talk;
pub mod tone;
pub mod ui;
mod yaml;

pub use crate::wire::Record;
pub use error::Error;
pub use human::Now;
pub use settings::{ColorChoice, Format, Order, ProgressMode, Settings, Sort};
pub use table::{Column, Shown, SortKey, Table};
pub use talk::Talk;
pub use tone::Tone;
pub use ui::{Streams, Ui};
