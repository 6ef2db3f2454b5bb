//! Questions to the person at the terminal.

use std::io::BufRead;

use super::Error;
use super::control::visible_lines;
use super::ui::Ui;

/// What the user said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Yes,
    /// Anything but a clear yes, and the end of input.
    No,
}

impl Ui {
    /// Returns whether a question would be asked: there is a terminal, and the answer is not known.
    pub fn can_ask(&self) -> bool {
        let settings = &self.settings;
        let terminal = settings.stdin_terminal && settings.stderr_terminal;
        terminal && !settings.no_input && !settings.yes
    }

    /// Asks `question [y/N]` on stderr and waits for a line. With `--yes` nothing is asked.
    ///
    /// This blocks the thread until the user answers.
    ///
    /// # Errors
    /// [`Error::CannotAsk`] with `--no-input` or without a terminal, and a terminal that cannot be read.
    pub fn confirm(&mut self, question: &str) -> Result<Answer, Error> {
        if self.settings.yes {
            return Ok(Answer::Yes);
        }
        if !self.can_ask() {
            return Err(Error::CannotAsk {
                question: question.to_owned(),
            });
        }
        self.flush()?;
        let prompt = format!("{} [y/N] ", visible_lines(question));
        let mut line = Vec::new();
        let (messages, stdin) = (&self.messages, &mut self.stdin);
        let read = messages.above_progress(|| {
            messages.write(prompt.as_bytes())?;
            stdin.read_until(b'\n', &mut line)
        });
        if read.map_err(Error::ReadAnswer)? == 0 {
            // the cursor still stands behind the question
            self.messages.status("");
        }
        let said = line.trim_ascii().to_ascii_lowercase();
        Ok(if said == b"y" || said == b"yes" {
            Answer::Yes
        } else {
            Answer::No
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_ui::ui;
    use super::*;
    use crate::output::Settings;

    fn terminal() -> Settings {
        Settings {
            stdin_terminal: true,
            stderr_terminal: true,
            ..Settings::default()
        }
    }

    #[test]
    fn only_a_clear_yes_counts() {
        for (input, answer) in [
            ("y\n", Answer::Yes),
            (" YES \r\n", Answer::Yes),
            ("n\n", Answer::No),
            ("\n", Answer::No),
            ("yep\n", Answer::No),
            ("", Answer::No),
        ] {
            let (mut ui, stdout, stderr) = ui(terminal(), input);
            assert_eq!(ui.confirm("delete 'a\x1b'?").unwrap(), answer, "{input:?}");
            assert_eq!(stdout.text(), "");
            assert_eq!(
                stderr.text().trim_end_matches('\n'),
                "delete 'a\\x1b'? [y/N] "
            );
        }
    }

    #[test]
    fn nothing_is_asked_when_the_answer_is_known_or_cannot_come() {
        let (mut ui_yes, _, stderr) = ui(
            Settings {
                yes: true,
                ..Settings::default()
            },
            "",
        );
        assert_eq!(ui_yes.confirm("delete?").unwrap(), Answer::Yes);
        assert_eq!(stderr.text(), "");
        for settings in [
            Settings {
                no_input: true,
                ..terminal()
            },
            Settings {
                stdin_terminal: false,
                ..terminal()
            },
            Settings {
                stderr_terminal: false,
                ..terminal()
            },
        ] {
            let (mut ui, _, stderr) = ui(settings, "y\n");
            let error = ui.confirm("delete 3 VMs?").unwrap_err();
            assert_eq!(
                error.to_string(),
                "cannot ask 'delete 3 VMs?' without a terminal"
            );
            assert!(error.is_usage() && error.hint().unwrap().contains("--yes"));
            assert_eq!(stderr.text(), "");
        }
    }
}
