//! Why a stream broke.

use std::time::Duration;

/// Why what the command read or wrote is not certain.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command could not be started, or its output was lost.
    #[error(transparent)]
    Api(#[from] fastvm_api::Error),
    /// No request about the input succeeded for so long that the VM gives the stream up.
    #[error("the VM could not be reached for {} s to send input to the command", .silence.as_secs())]
    Unreachable {
        /// How long none did.
        silence: Duration,
        /// Why the last did not, unless it arrived in part.
        source: Option<fastvm_api::Error>,
    },
    /// The VM refused a piece of the input.
    #[error("the VM cannot take the command's input: {reason}")]
    Refused {
        /// What it said.
        reason: String,
    },
}
