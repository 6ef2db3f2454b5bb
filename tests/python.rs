//! The official Python SDK and CLI against `local serve`, where they are installed.
//!
//! `FASTVM_TEST_PYTHON` names the interpreter that has `fastvm==0.7.0`; without it `python3` is tried.

use std::process::{Command, Stdio};

use crate::common::{Home, Serving, missing};

/// The interpreter with the official package, if there is one.
pub(crate) fn python() -> Option<String> {
    let named = std::env::var("FASTVM_TEST_PYTHON").ok();
    let candidate = named.clone().unwrap_or_else(|| "python3".to_owned());
    let check = "import fastvm; assert fastvm.__version__ == '0.7.0'";
    let found = Command::new(&candidate)
        .args(["-c", check])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    assert!(
        found || named.is_none(),
        "FASTVM_TEST_PYTHON={candidate} has no fastvm 0.7.0"
    );
    found.then_some(candidate)
}

#[test]
fn the_official_sdk_and_cli_work_on_the_local_engine() {
    let Some(python) = python() else {
        missing("no Python with fastvm==0.7.0 (see FASTVM_TEST_PYTHON)");
        return;
    };
    let home = Home::new();
    let serving = Serving::start(&home);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/sdk.py");
    let output = Command::new(python)
        .arg(script)
        .env("FASTVM_BASE_URL", &serving.url)
        .env("FASTVM_API_KEY", &serving.key)
        .env("HOME", home.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
