//! What is to run.

use fastvm_api::types::exec::ExecRequest;

use crate::script;

/// A command whose input is a stream.
#[derive(Clone, Debug, Default)]
pub struct Command {
    /// Program and arguments, run without a shell.
    pub argv: Vec<String>,
    /// The server's limit in seconds, at least 1.
    pub timeout_sec: Option<i64>,
    /// A terminal for the command. Its output and its errors are one then.
    pub terminal: Option<Terminal>,
}

/// A terminal in a VM.
#[derive(Clone, Debug)]
pub struct Terminal {
    /// Its height in lines.
    pub rows: u16,
    /// Its width in columns.
    pub columns: u16,
    /// The user of the VM, by name or number, whom it is to belong to. `None` is the user whom commands run as.
    pub owner: Option<String>,
}

impl Command {
    /// Returns a command with its arguments, without a terminal or a time limit.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Returns the request that runs the command, whose input is known by a name.
    pub(crate) fn request(&self, name: &str) -> ExecRequest {
        let command = self.on_its_terminal();
        let line = match self.terminal {
            Some(_) => shell_words::join(&command),
            None => String::new(),
        };
        let mut argv = vec!["sh", "-c", &*script::RUN, "fastvm", name];
        argv.extend([&*script::PUMP, &*script::WATCH, &*script::START].map(String::as_str));
        argv.extend([line.as_str(), script::TERMINAL_PROGRAM]);
        argv.extend(command.iter().map(String::as_str));
        ExecRequest {
            timeout_sec: self.timeout_sec,
            ..ExecRequest::new(argv)
        }
    }

    /// The words that become the command once its terminal is there.
    fn on_its_terminal(&self) -> Vec<String> {
        let Some(terminal) = &self.terminal else {
            return self.argv.clone();
        };
        let mut argv = ["sh", "-c", &script::TERMINAL, "fastvm"]
            .map(str::to_owned)
            .to_vec();
        argv.extend([terminal.rows.to_string(), terminal.columns.to_string()]);
        argv.push(terminal.owner.clone().unwrap_or_default());
        argv.extend_from_slice(&self.argv);
        argv
    }
}
