//! Reading what a script printed: lines of a key and a value, then possibly one value that may hold any byte.

use crate::error::Error;

/// The lines of an answer.
pub(super) struct Reply<'a> {
    lines: Vec<(&'a str, &'a str)>,
    /// What follows the line that is the word asked for.
    pub(super) rest: &'a [u8],
}

impl<'a> Reply<'a> {
    /// Reads lines up to the first that is one of `ends` alone; the answer is refused without it.
    pub(super) fn read(stdout: &'a [u8], ends: &[&str]) -> Result<(Self, &'a str), Error> {
        let mut lines = Vec::new();
        let mut rest = stdout;
        loop {
            let end = rest
                .iter()
                .position(|&byte| byte == b'\n')
                .unwrap_or(rest.len());
            let text = std::str::from_utf8(&rest[..end]).map_err(|_| broken())?;
            rest = rest.get(end + 1..).unwrap_or_default();
            if ends.contains(&text) {
                return Ok((Self { lines, rest }, text));
            }
            if text.is_empty() && rest.is_empty() {
                return Err(broken());
            }
            lines.push(text.split_once(' ').unwrap_or((text, "")));
        }
    }

    pub(super) fn get(&self, key: &str) -> Result<&'a str, Error> {
        self.lines
            .iter()
            .find(|(found, _)| *found == key)
            .map(|(_, value)| *value)
            .ok_or_else(broken)
    }
}

pub(super) fn broken() -> Error {
    Error::integrity("the VM", "its answer is not what the script prints")
}
