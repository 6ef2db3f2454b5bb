//! What a machine is asked must end, whatever was done inside.

use std::sync::mpsc;
use std::time::Duration;

/// Longer than any call may take on a busy computer, and than the longest time limit of the sandbox.
const CALL_DEADLINE: Duration = Duration::from_secs(30);

/// Does something on a thread of its own and returns its result.
///
/// # Panics
/// If it does not end in time. The thread is left behind; it ends with the machine that it waits for.
pub(crate) fn within_deadline<T: Send + 'static>(
    what: &str,
    act: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (done, result) = mpsc::channel();
    std::thread::spawn(move || done.send(act()));
    match result.recv_timeout(CALL_DEADLINE) {
        Ok(value) => value,
        Err(error) => panic!("{what}: {error}"),
    }
}
