//! Whether a command that has been silent for long is still there.

use super::{GuestCommand, GuestOutput, Patience, SMALL_OUTPUT, argv};

/// The question after the command of this name.
pub fn running(name: &str) -> GuestCommand {
    let script = concat!(include_str!("base.sh"), include_str!("running.sh"));
    let own = crate::transfer::nonce();
    GuestCommand {
        argv: argv(script, &own),
        name: own,
        stdin: format!("{name}\n").into_bytes(),
        output_limit: SMALL_OUTPUT,
        patience: Patience::Brief,
    }
}

/// What was answered to [`running`]; a VM that cannot tell is believed to be at work.
pub fn is_running(answer: &GuestOutput) -> bool {
    answer.timed_out || answer.code != 0 || answer.stdout != b"no"
}
