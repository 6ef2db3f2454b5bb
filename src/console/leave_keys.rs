//! `~.` at the beginning of a line, which leaves a command on a terminal, as in ssh.

use bytes::Bytes;

/// What was typed so far, as far as it counts.
#[derive(Debug)]
pub struct LeaveKeys {
    starts_line: bool,
    /// A `~` at the beginning of a line, which the next key decides about.
    held: bool,
}

impl Default for LeaveKeys {
    fn default() -> Self {
        Self {
            starts_line: true,
            held: false,
        }
    }
}

impl LeaveKeys {
    /// Takes what was typed, and returns what of it is for the command. `None` if the user leaves. `~~` is one `~`.
    pub fn take(&mut self, typed: &[u8]) -> Option<Bytes> {
        let mut passed = Vec::with_capacity(typed.len() + 1);
        for &key in typed {
            match (std::mem::take(&mut self.held), key) {
                (true, b'.') => return None,
                (true, b'~') => passed.push(b'~'),
                (true, _) => passed.extend([b'~', key]),
                (false, b'~') if self.starts_line => self.held = true,
                (false, _) => passed.push(key),
            }
            self.starts_line = !self.held && matches!(key, b'\r' | b'\n');
        }
        Some(passed.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What goes to the command of some reads; `None` in the end where the user leaves.
    fn passed(reads: &[&str]) -> Vec<Option<String>> {
        let mut keys = LeaveKeys::default();
        let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        let mut take = |read: &&str| keys.take(read.as_bytes()).map(text);
        reads.iter().map(&mut take).collect()
    }

    #[test]
    fn a_tilde_and_a_dot_leave_at_the_beginning_of_a_line_alone() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(passed(&["~."]), [None]);
        assert_eq!(passed(&["ls\r", "~", "."]), [some("ls\r"), some(""), None]);
        assert_eq!(passed(&["ls ~.\r"]), [some("ls ~.\r")]);
        assert_eq!(passed(&["~", "a~."]), [some(""), some("~a~.")]);
        assert_eq!(passed(&["~~.\r"]), [some("~.\r")]);
    }
}
