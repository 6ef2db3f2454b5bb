//! Whether a command that has been silent for long is still there.

use super::{Deadline, GuestCommand, GuestOutput, SMALL_OUTPUT, argv};

/// The question after the command of this name.
pub(crate) fn running(name: &str) -> GuestCommand {
    let script = concat!(include_str!("base.sh"), include_str!("running.sh"));
    let own = crate::nonce();
    GuestCommand {
        argv: argv(script, &own),
        name: own,
        stdin: format!("{name}\n").into_bytes(),
        output_limit: SMALL_OUTPUT,
        deadline: Deadline::Brief,
    }
}

/// What was answered to [`running`]; `None` if the VM cannot tell.
pub(crate) fn is_running(answer: &GuestOutput) -> Option<bool> {
    match answer.stdout.as_slice() {
        _ if answer.timed_out || answer.code != 0 => None,
        b"yes" => Some(true),
        b"no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_answer_counts() {
        let answer = |stdout: &str, code, timed_out| {
            is_running(&GuestOutput {
                stdout: stdout.into(),
                code,
                timed_out,
                ..GuestOutput::default()
            })
        };
        assert_eq!(answer("yes", 0, false), Some(true));
        assert_eq!(answer("no", 0, false), Some(false));
        assert_eq!(answer("", 0, false), None);
        assert_eq!(answer("yes", 1, false), None);
        assert_eq!(answer("yes", 0, true), None);
    }
}
