//! An error that knows which step of a start failed, small enough to be sent to the engine.

use std::io;

use super::message::BootReport;

/// A failed step: what was tried and the number of the kernel.
#[derive(Debug)]
pub(super) struct Failure {
    step: String,
    errno: i32,
}

impl Failure {
    pub(super) fn into_report(self) -> BootReport {
        BootReport::Failed {
            step: self.step,
            errno: self.errno,
        }
    }
}

/// Names the step that an input or output error belongs to.
pub(super) trait Step<T> {
    /// `step` speaks of the thing: `overlay on /usr`, not `mount failed`.
    fn step(self, step: impl Into<String>) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, step: impl Into<String>) -> Result<T, Failure> {
        self.map_err(|error| {
            let error: io::Error = error.into();
            let errno = error.raw_os_error().unwrap_or(match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => libc::ETIMEDOUT,
                _ => libc::EIO,
            });
            Failure {
                step: step.into(),
                errno,
            }
        })
    }
}
