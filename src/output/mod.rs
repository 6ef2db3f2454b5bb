//! Everything a person or a program reads: data on stdout, talk on stderr.
//!
//! Commands and the error reporter speak to this room; it reads no environment and knows no HTTP.

mod blocking;
mod column_layout;
pub mod confirm;
pub mod control;
mod csv;
mod drawn;
pub mod error;
pub(crate) mod events;
pub mod human;
mod jq;
pub mod json;
pub mod messages;
mod meter;
mod next_command;
mod nonblocking_stderr;
mod print;
pub mod settings;
mod shared_buffer;
pub mod spinner;
pub(crate) mod stdout;
pub mod stdout_writer;
pub mod style;
pub mod table;
mod table_view;
#[cfg(test)]
mod test_ui;
mod text_view;
pub mod transfer_bar;
pub mod ui;
mod yaml;

pub use confirm::Answer;
pub use error::Error;
pub use fastvm_api::types::Record;
pub use human::Now;
pub use messages::Messages;
pub use next_command::ApiOption;
pub use settings::{ColorChoice, Format, Order, ProgressMode, Settings, Sort};
pub use spinner::Spinner;
pub use stdout_writer::StdoutWriter;
pub use style::Style;
pub use table::{Column, Shown, SortKey, Table};
pub use text_view::DELETED;
pub use transfer_bar::TransferBar;
pub use ui::{Streams, Ui};
