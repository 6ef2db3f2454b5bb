//! A signal that the main thread cannot hear, because it is stuck in a write to a terminal or pipe that nobody reads.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::BorrowedFd;
use tokio::sync::{mpsc, oneshot};

use super::{Signal, Signals};
use crate::exit::Exit;

/// A main thread that says nothing for so long is stuck.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// How often it is asked after a signal.
const ASK_INTERVAL: Duration = Duration::from_millis(250);
/// How long the main thread may take to end once its terminal shows text again.
const TERMINAL_GRACE: Duration = Duration::from_millis(250);

/// Whether the main thread works on something that is to be finished, and writes nothing meanwhile.
static IS_CLEANING_UP: AtomicBool = AtomicBool::new(false);

type Question = oneshot::Sender<()>;

/// Runs the last steps of the program, which a signal does not cut short.
pub(crate) fn clean_up(work: impl FnOnce()) {
    IS_CLEANING_UP.store(true, Ordering::Relaxed);
    work();
    IS_CLEANING_UP.store(false, Ordering::Relaxed);
}

/// Starts the thread that ends the program after a signal if the main thread is stuck. Done once per process; the caller
/// runs on the main thread.
pub(super) fn watch() {
    static STARTED: OnceLock<()> = OnceLock::new();
    STARTED.get_or_init(|| {
        let (ask, mut questions) = mpsc::unbounded_channel::<Question>();
        tokio::spawn(async move {
            while let Some(question) = questions.recv().await {
                // Who asked may have given up.
                let _ = question.send(());
            }
        });
        let thread = std::thread::Builder::new().name("signals".to_owned());
        // Without the thread signals still end a main thread that is not stuck.
        let _ = thread.spawn(move || end_if_stuck(&ask));
    });
}

fn end_if_stuck(main: &mpsc::UnboundedSender<Question>) {
    let Ok(runtime) = crate::build_runtime() else {
        return;
    };
    runtime.block_on(async {
        let Ok(mut signals) = Signals::register() else {
            return;
        };
        let signal = signals.next().await;
        loop {
            if is_stuck(main).await {
                end(signal).await;
            }
            tokio::time::sleep(ASK_INTERVAL).await;
        }
    });
}

/// Returns whether the main thread does not answer, and has an output that takes nothing.
async fn is_stuck(main: &mpsc::UnboundedSender<Question>) -> bool {
    let (question, answer) = oneshot::channel();
    // The main thread has no event loop any more when it prints the last words.
    let _ = main.send(question);
    tokio::select! {
        Ok(()) = answer => return false,
        () = tokio::time::sleep(ANSWER_TIMEOUT) => {}
    }
    if IS_CLEANING_UP.load(Ordering::Relaxed) {
        return false;
    }
    let is_full = |stream| !takes_text(stream).unwrap_or(true);
    is_full(rustix::stdio::stdout()) || is_full(rustix::stdio::stderr())
}

/// Returns whether a write would not wait now.
fn takes_text(stream: BorrowedFd<'_>) -> io::Result<bool> {
    let ready = PollFlags::OUT | PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
    let mut ends = [PollFd::new(&stream, PollFlags::OUT)];
    poll(&mut ends, Some(&Timespec::default()))?;
    Ok(ends[0].revents().intersects(ready))
}

/// Ends the program with the code of the signal, and gives the terminal back.
async fn end(signal: Signal) {
    if crate::console::release() {
        // A terminal that was stopped goes on, so the main thread may come to its own end.
        tokio::time::sleep(TERMINAL_GRACE).await;
        crate::console::restore_at_once();
    }
    #[expect(clippy::exit, reason = "the main thread is stuck")]
    std::process::exit(Exit::of_signal(signal.number()).0.into());
}
