//! What runs in the VM: POSIX shell, GNU or BusyBox.

use std::sync::LazyLock;

macro_rules! with_folder {
    ($script:literal) => {
        concat!(include_str!("script/folder.sh"), include_str!($script))
    };
}

/// A script without comments, which would travel with each request and show in `ps`.
macro_rules! script {
    ($(#[$doc:meta])* $name:ident, $text:expr) => {
        $(#[$doc])*
        pub(crate) static $name: LazyLock<String> = LazyLock::new(|| without_comments($text));
    };
}

script!(/** Runs the command. */ RUN, with_folder!("script/run.sh"));
script!(/** Passes the input on. */ PUMP, with_folder!("script/pump.sh"));
script!(/** Ends all of it when the client is gone. */ WATCH, with_folder!("script/watch.sh"));
script!(/** Becomes the command. */ START, include_str!("script/start.sh"));
script!(/** Becomes the command on its terminal. */ TERMINAL, include_str!("script/terminal.sh"));
script!(/** Tells a stream something. */ ASK, with_folder!("script/ask.sh"));

script!(/** Connects with a port. */ DIAL, include_str!("script/dial.sh"));

/// Connects with a port, and tells of the end of either half.
pub(crate) const DIAL_PROGRAM: &str = include_str!("script/dial.py");
/// Makes a terminal where there is no `script`.
pub(crate) const TERMINAL_PROGRAM: &str = include_str!("script/terminal.py");

fn without_comments(script: &str) -> String {
    let lines = script.lines().map(str::trim_start);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.collect::<Vec<_>>().join("\n")
}
