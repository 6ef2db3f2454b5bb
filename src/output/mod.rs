//! Everything a person or a program reads: data on stdout, talk on stderr.
//!
//! Commands and the error reporter speak to this room; it reads no environment and knows no HTTP.

#[cfg(test)]
mod captured;
mod collected;
pub mod confirm;
pub mod control;
mod csv;
mod data;
mod drawn;
pub mod error;
mod grid;
pub mod human;
mod jq;
pub mod json;
mod meter;
pub mod outlet;
mod plain;
mod polite;
pub mod settings;
pub mod spinner;
pub mod table;
mod tabular;
pub mod talk;
pub mod tone;
pub mod transfer_bar;
pub mod ui;
mod yaml;

pub use crate::wire::Record;
pub use confirm::Answer;
pub use error::Error;
pub use human::Now;
pub use outlet::Outlet;
pub use plain::DELETED;
pub use settings::{ColorChoice, Format, Order, ProgressMode, Settings, Sort};
pub use spinner::Spinner;
pub use table::{Column, Shown, SortKey, Table};
pub use talk::Talk;
pub use tone::Tone;
pub use transfer_bar::TransferBar;
pub use ui::{Streams, Ui};
