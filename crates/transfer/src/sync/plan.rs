//! What a caller asks of a comparison, and what it hears before anything is done.

use std::path::PathBuf;
use std::time::Duration;

use super::compare::Take;
use super::plan_download::DownloadPlan;
use super::plan_upload::UploadPlan;
use crate::summary::Skipped;

/// What is copied, and what is done besides.
#[derive(Clone, Copy, Debug, Default)]
pub struct SyncOptions {
    /// Which entries are copied.
    pub take: Take,
    /// Whether what the source lacks is removed at the destination, and gives way where it is of another kind.
    pub delete: bool,
    /// Whether the sha256 of each copied file is compared afterwards.
    pub verify: bool,
    /// Whether users and groups are kept, by number.
    pub owners: bool,
}

/// A copy whose ends have been compared; nothing has been changed yet.
#[derive(Debug)]
pub struct Plan {
    pub(super) choice: SyncOptions,
    pub(super) way: Direction,
    pub(super) outlook: PlanSummary,
    /// How long the comparison took.
    pub(super) took: Duration,
}

#[derive(Debug)]
pub(super) enum Direction {
    UploadPlan(Box<UploadPlan>),
    DownloadPlan(Vec<DownloadPlan>),
}

/// What a plan would do. Paths are below the target; that of a lone file is its own.
#[derive(Clone, Debug, Default)]
pub struct PlanSummary {
    /// The target, to be shown.
    pub target: String,
    /// What would be copied.
    pub sent: Vec<PathBuf>,
    /// What would get another mode, time or owner.
    pub adjusted: Vec<PathBuf>,
    /// What would be gone or replaced by something of another kind.
    pub removed: Vec<PathBuf>,
    /// Files and links that need nothing.
    pub unchanged: u64,
    /// What would be left out though it was not asked for.
    pub skipped: Vec<Skipped>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl Plan {
    /// What would be done.
    #[must_use]
    pub fn summary(&self) -> &PlanSummary {
        &self.outlook
    }
}
