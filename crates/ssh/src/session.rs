//! A session: a command in the VM, with its input, its output and its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fastvm_api::exec::Event;
use fastvm_api::types::EnvVars;
use fastvm_stream::{Command, Control, Input, Output, Stream, Terminal};
use tokio::sync::mpsc;

use crate::channel::{Channel, Data, Incoming, Kind, Request};
use crate::sftp::{self, Found};
use crate::{Server, command};

/// The exit code of a command that ran over the server's time limit.
const TIMED_OUT: i32 = 124;
/// How long output may have been on its way when the client takes no more.
const ON_ITS_WAY: Duration = Duration::from_millis(500);
/// How long a command that ignores SIGPIPE may go on with output that nobody takes.
const SIGPIPE_GRACE: Duration = Duration::from_secs(2);

/// What is known of a session before its command.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surroundings {
    pub(crate) terminal: Option<Terminal>,
    pub(crate) variables: EnvVars,
}

/// What a session is to run.
#[derive(Clone, Debug)]
pub(crate) enum Program {
    /// A line for the user's shell; an empty one is the shell.
    Shell(String),
    Sftp,
}

/// Runs a program, and closes the channel when it has ended. If the client closes it first, the program is ended.
pub(crate) async fn run(
    server: Arc<Server>,
    user: String,
    surroundings: Surroundings,
    program: Program,
    channel: Channel,
    incoming: Incoming,
) {
    let words = match program {
        Program::Shell(line) => command::shell(&line),
        Program::Sftp => match sftp::find(&server, &user).await {
            Ok(Found::Program(program)) => command::shell(&format!("exec {program}")),
            Ok(Found::Home(home)) => {
                return serve_files(server, user, home, channel, incoming).await;
            }
            Err(reason) => {
                server.host.tell(&reason);
                return channel.close().await;
            }
        },
    };
    let terminal = surroundings.terminal.map(|terminal| Terminal {
        owner: server.host.owner(&user),
        ..terminal
    });
    let command = Command {
        argv: server.host.around(&user, &surroundings.variables, &words),
        timeout_sec: None,
        terminal,
    };
    let Stream {
        input,
        output,
        control,
    } = Stream::open(&server.client, &server.vm, &command);
    let Incoming { data, requests } = incoming;
    tokio::select! {
        ended = pass_output(output, &channel, &control) => match ended {
            Ok(code) => {
                channel.end().await;
                channel.exit_status(code).await;
            }
            Err(error) => server.host.tell(&error.to_string()),
        },
        never = pass_input(data, input) => match never {},
        () = pass_requests(requests, &control) => {
            // What it left ends by itself in the VM if this fails.
            let _ = control.stop().await;
        }
    }
    channel.close().await;
}

/// Serves files, until the client closes the channel or sends no more.
async fn serve_files(
    server: Arc<Server>,
    user: String,
    home: Vec<u8>,
    channel: Channel,
    incoming: Incoming,
) {
    let Incoming { data, mut requests } = incoming;
    let serving = sftp::serve(server.clone(), user, home, data, &channel);
    tokio::select! {
        served = serving => {
            if let Err(error) = &served {
                server.host.tell(&error.to_string());
            }
            channel.end().await;
            channel.exit_status(i32::from(served.is_err())).await;
        }
        () = async { while requests.recv().await.is_some() {} } => {}
    }
    channel.close().await;
}

/// Sends what the command says, and returns its exit code.
async fn pass_output(
    mut output: Output,
    channel: &Channel,
    control: &Control,
) -> Result<i32, fastvm_stream::Error> {
    let mut refusal = Refusal::default();
    loop {
        match output.next_event().await? {
            Event::Stdout(bytes) => match channel.refused_since() {
                Some(since) => refusal.tell(since, control).await,
                None => channel.data(Kind::Output, bytes.into()).await,
            },
            Event::Stderr(bytes) => channel.data(Kind::Errors, bytes.into()).await,
            Event::Exit(status) if status.timed_out => return Ok(TIMED_OUT),
            Event::Exit(status) => return Ok(status.code),
        }
    }
}

/// Sends on what the client sends. The end of the command ends it.
async fn pass_input(mut data: Data, input: Input) -> std::convert::Infallible {
    while let Some(bytes) = data.next().await {
        // A command that reads no more takes all.
        let _ = input.send(bytes).await;
    }
    let _ = input.finish().await;
    std::future::pending().await
}

/// How a command learns that nobody takes its output: by what a closed pipe does.
#[derive(Default)]
struct Refusal {
    signalled: Option<Instant>,
    is_stopped: bool,
}

impl Refusal {
    /// Tells the command, which goes on with its output.
    async fn tell(&mut self, since: Instant, control: &Control) {
        let told = match self.signalled {
            // It was on its way already.
            None if since.elapsed() < ON_ITS_WAY => return,
            None => {
                self.signalled = Some(Instant::now());
                control.signal("PIPE").await.map(drop)
            }
            Some(signalled) if signalled.elapsed() > SIGPIPE_GRACE && !self.is_stopped => {
                self.is_stopped = true;
                control.stop().await
            }
            Some(_) => return,
        };
        if let Err(error) = told {
            tracing::debug!(%error, "a command was not told that nobody takes its output");
        }
    }
}

/// Does what the client asks for, until it closes the channel. Of several sizes the last counts.
async fn pass_requests(mut requests: mpsc::UnboundedReceiver<Request>, control: &Control) {
    let mut next = None;
    loop {
        let received = match next.take() {
            None => requests.recv().await,
            next => next,
        };
        let Some(mut request) = received else { return };
        while matches!(request, Request::Resize { .. })
            && let Ok(later) = requests.try_recv()
        {
            match later {
                Request::Resize { .. } => request = later,
                Request::Signal(_) => {
                    next = Some(later);
                    break;
                }
            }
        }
        let done = match request {
            _ if requests.is_closed() => return,
            Request::Resize { rows, columns } => control.resize(rows, columns).await,
            Request::Signal(name) => control.signal(&name).await.map(drop),
        };
        if let Err(error) = done {
            tracing::debug!(%error, "a request of an SSH client was not done");
        }
    }
}

/// Returns the name of a signal that a VM knows.
pub(crate) fn signal(name: &str) -> Option<String> {
    const NAMES: [&str; 13] = [
        "ABRT", "ALRM", "FPE", "HUP", "ILL", "INT", "KILL", "PIPE", "QUIT", "SEGV", "TERM", "USR1",
        "USR2",
    ];
    NAMES.contains(&name).then(|| name.to_owned())
}
