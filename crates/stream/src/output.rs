//! Where a command's output and its end come from.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use fastvm_api::exec::{Event, ExecStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::command::Command;
use crate::control::Control;
use crate::error::Error;
use crate::input::Portion;
use crate::sender;

/// The output of a command whose input is a stream. Dropping it ends the sending of input and closes the connection.
pub struct Output {
    state: State,
    /// Input that waits for the command to be started.
    messages: Option<mpsc::Receiver<Portion>>,
    control: Control,
    sending: Option<Sending>,
}

enum State {
    Starting(Pin<Box<dyn Future<Output = Result<ExecStream, fastvm_api::Error>> + Send>>),
    Running(Box<ExecStream>),
}

/// The task that sends input.
#[derive(Debug)]
struct Sending {
    task: JoinHandle<()>,
    /// `None` once it has ended as it should.
    failure: Option<oneshot::Receiver<Error>>,
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Output {
    pub(crate) fn new(
        control: &Control,
        command: &Command,
        messages: mpsc::Receiver<Portion>,
    ) -> Self {
        let request = command.request(control.name());
        let (client, vm) = (control.client().clone(), control.vm().to_owned());
        Self {
            state: State::Starting(Box::pin(async move { client.exec(&vm, &request).await })),
            messages: Some(messages),
            control: control.clone(),
            sending: None,
        }
    }

    /// Waits for the next event. [`Event::Exit`] is the last. Cancel-safe.
    ///
    /// # Errors
    /// The command could not be started, or its output or input was lost: what it did is not known then.
    pub async fn next_event(&mut self) -> Result<Event, Error> {
        if let Some(messages) = self.messages.take() {
            // A server may begin to answer with the first output, which may need input.
            self.sending = Some(send(&self.control, messages));
        }
        let sending = self.sending.as_mut();
        tokio::select! {
            biased;
            event = next(&mut self.state) => Ok(event?),
            failure = failure(sending) => Err(failure),
        }
    }

    /// Returns whether an event is here already, so that there is no need to wait for the next.
    pub fn has_buffered_event(&self) -> bool {
        match &self.state {
            State::Starting(_) => false,
            State::Running(stream) => stream.has_buffered_event(),
        }
    }
}

async fn next(state: &mut State) -> Result<Event, fastvm_api::Error> {
    if let State::Starting(starting) = state {
        *state = State::Running(Box::new(starting.await?));
    }
    match state {
        State::Running(stream) => stream.next_event().await,
        State::Starting(_) => std::future::pending().await,
    }
}

fn send(control: &Control, messages: mpsc::Receiver<Portion>) -> Sending {
    let (told, failure) = oneshot::channel();
    let sending = sender::run(control.clone(), messages);
    let task = tokio::spawn(async move {
        if let Err(error) = sending.await {
            // Where the output is dropped nobody wants to know.
            let _ = told.send(error);
        }
    });
    Sending {
        task,
        failure: Some(failure),
    }
}

/// Waits for the sending to fail.
async fn failure(sending: Option<&mut Sending>) -> Error {
    if let Some(sending) = sending
        && let Some(failure) = &mut sending.failure
    {
        let told = failure.await;
        sending.failure = None;
        if let Ok(error) = told {
            return error;
        }
    }
    std::future::pending().await
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output")
            .field("control", &self.control)
            .finish_non_exhaustive()
    }
}
