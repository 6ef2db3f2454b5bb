//! Archives of a hostile VM: nothing outside the folder, nothing beyond what was announced, no panic, no hang.
#![no_main]

use std::cell::LazyCell;

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

thread_local! {
    static GROUND: LazyCell<TempDir> = LazyCell::new(|| {
        tempfile::tempdir().expect("a temporary folder")
    });
}

fuzz_target!(|bytes: &[u8]| {
    GROUND.with(|ground| fastvm_transfer::fuzzing::archive_reader(ground.path(), bytes));
});
