//! A limit on the time of each test: one that hangs ends the run, with its name.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// Many times what the slowest test takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(900);

/// The tests that run, by their threads, and since when.
static RUNNING: Mutex<Option<HashMap<ThreadId, (String, Instant)>>> = Mutex::new(None);

/// Takes the test of a thread out of the list when the thread ends.
struct Ended(ThreadId);

impl Drop for Ended {
    fn drop(&mut self) {
        running().get_or_insert_default().remove(&self.0);
    }
}

thread_local! {
    static ENDED: RefCell<Option<Ended>> = const { RefCell::new(None) };
}

fn running() -> MutexGuard<'static, Option<HashMap<ThreadId, (String, Instant)>>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the time of the present test. To be called by what every test makes first.
pub(crate) fn begin() {
    static WATCH: Once = Once::new();
    WATCH.call_once(|| drop(thread::spawn(watch)));
    let current = thread::current();
    let name = current.name().unwrap_or("without a name").to_owned();
    running()
        .get_or_insert_default()
        .insert(current.id(), (name, Instant::now()));
    ENDED.with_borrow_mut(|ended| *ended = Some(Ended(current.id())));
}

fn watch() {
    loop {
        thread::sleep(Duration::from_secs(1));
        let late = running().as_ref().and_then(|tests| {
            let mut tests = tests.values();
            tests.find(|(_, start)| start.elapsed() > LIMIT).cloned()
        });
        if let Some((name, _)) = late {
            let line = format!("test {name} hangs: it runs for more than {LIMIT:?}\n");
            // Not `eprintln!`, whose text would be kept until the test ends.
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            std::process::abort();
        }
    }
}
