//! A session: a command in the VM, with its input, its output and its end.

use std::sync::Arc;

use fastvm_api::exec::Event;
use fastvm_api::types::EnvVars;
use fastvm_stream::{Command, Control, Input, Output, Stream, Terminal};
use tokio::sync::mpsc;

use crate::channel::{Channel, Data, Incoming, Kind, Request};
use crate::sftp::{self, Found};
use crate::{Server, command};

/// The exit code of a command that ran over the server's time limit.
const TIMED_OUT: i32 = 124;

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
        ended = pass_output(output, &channel) => match ended {
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
async fn pass_output(mut output: Output, channel: &Channel) -> Result<i32, fastvm_stream::Error> {
    loop {
        match output.next_event().await? {
            Event::Stdout(bytes) => channel.data(Kind::Output, bytes.into()).await,
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

/// Does what the client asks for, until it closes the channel.
async fn pass_requests(mut requests: mpsc::UnboundedReceiver<Request>, control: &Control) {
    while let Some(request) = requests.recv().await {
        let done = match request {
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
