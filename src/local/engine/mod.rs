//! What the verbs do. Knows no HTTP: errors say what is wrong, not with which status.

mod attachments;
mod capture;
mod clock;
mod core;
mod credentials;
mod dial;
mod doors;
mod environment;
mod error;
mod exec;
mod files;
mod firewall;
mod hold;
mod labels;
mod launch;
mod machine_type;
mod machines;
mod names;
mod pause;
mod quotas;
mod run;
mod services;
mod snapshots;
mod sweep;
mod timers;
mod trash;
mod vms;
mod volumes;
mod whole;

pub(crate) use self::core::Core;
pub(crate) use self::doors::Answer;
pub(crate) use self::error::Error;
pub(crate) use self::exec::Command;
pub(crate) use self::files::{Access, Denied};
pub(crate) use self::run::{Channel, End, Event, Run};
pub(crate) use self::vms::VmFilter;
