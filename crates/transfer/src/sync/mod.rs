//! Copying what differs: both ends are scanned and compared, then what differs goes the way of any copy, and the rest is set right in place.
//!
//! ```text
//! plan       here: scan ─┐
//!            VM: scan ───┴► compare (► both: sha256 of what has the same size)
//! carry out  upload or download of a selection ─► swap, remove, set modes, times, owners ─► both: sha256 of what was copied
//! ```
//!
//! # Layout
//! - `state`, `compare`: pure: what is known of an entry, and what has to be done
//! - `here`, `there`, `digest`: the two ends
//! - `work`: one folder or file with both ends compared; `up`, `down`, `decide`: how one comes about
//! - `change`, `apply`: what is done besides copying, and doing it here
//! - `carry`: all of it in order; `verify`: the proof at its end

mod apply;
mod change;
mod compare;
mod decide;
mod difference;
mod digest;
mod execute;
mod local_side;
mod plan;
mod plan_download;
mod plan_upload;
mod remote_side;
mod verify;

pub use compare::{CompareBy, Take};
pub use execute::execute;
pub use plan::{Plan, PlanSummary, SyncOptions};
pub use plan_download::plan_download;
pub use plan_upload::{plan_upload, plan_upload_of};
