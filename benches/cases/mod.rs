//! Which parts of a benchmark run.

/// The words of the command line; none are all.
pub(crate) struct Cases(Vec<String>);

impl Cases {
    /// Reads the command line. `None` where nothing is measured: `cargo test --benches` starts benchmarks too.
    pub(crate) fn of_command_line() -> Option<Self> {
        let (options, words): (Vec<_>, Vec<_>) = std::env::args()
            .skip(1)
            .partition(|word| word.starts_with('-'));
        let is_measured = options.iter().any(|option| option == "--bench");
        is_measured.then_some(Self(words))
    }

    /// Returns whether this one runs.
    pub(crate) fn has(&self, case: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|word| word == case)
    }
}
