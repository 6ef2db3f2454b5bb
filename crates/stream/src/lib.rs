//! A byte stream both ways with a command in a VM, made of `exec` requests alone.
//!
//! The API takes a command's input with the request that starts it. Here the input goes on while the command runs: one
//! request runs the command and carries its output, and further requests bring pieces of its input. No port is opened in
//! the VM, and nothing has to be installed in it: POSIX `sh` is enough.
//!
//! - **Exact**: each byte arrives once and in order. A piece has a number and is whole before it counts, so a request whose
//!   answer is lost is sent again.
//! - **Prompt**: what is sent goes at once; much of it goes in pieces of up to 1 MiB, several at a time.
//! - **Bounded**: at most 16 MiB wait in the VM. A command that does not read holds the sender up.
//! - **Nothing stays**: the command ends with the stream. It ends, too, when the client has not been heard of for a minute.
//!
//! ```
//! # #[cfg(not(target_os = "linux"))]
//! # fn main() {}
//! # #[cfg(target_os = "linux")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let engine = fastvm_testing::TestEngine::start()?;
//! # let client = fastvm_api::Client::builder(engine.url()).api_key(engine.key().clone()).build()?;
//! # let launch = fastvm_api::types::vm::LaunchRequest::of_type("c1m2");
//! # let vm = client.launch_vm(&launch).await?.value;
//! # client.wait_until_running(&vm.id, Default::default()).await?.ready()?;
//! use fastvm_api::exec::Event;
//! use fastvm_stream::{Command, Stream};
//!
//! let Stream { input, mut output, .. } = Stream::open(&client, &vm.id, &Command::new(["cat"]));
//! input.send("hello\n").await?;
//! assert_eq!(output.next_event().await?, Event::Stdout(b"hello\n".to_vec()));
//! input.finish().await?;
//! assert!(matches!(output.next_event().await?, Event::Exit(status) if status.is_success()));
//! # Ok(())
//! # }
//! ```

#![warn(missing_docs)]

mod command;
mod control;
mod error;
mod input;
mod output;
mod script;
mod sender;
mod tunnel;

pub use command::{Command, Terminal};
pub use control::Control;
pub use error::Error;
pub use input::{Closed, Input};
pub use output::Output;
pub use tunnel::{TunnelError, connect, tunnel};

use fastvm_api::Client;

/// A command in a VM, with both directions of its bytes.
#[derive(Debug)]
pub struct Stream {
    /// Where its input goes.
    pub input: Input,
    /// Where its output and its end come from.
    pub output: Output,
    /// Signals and sizes on their way to it.
    pub control: Control,
}

impl Stream {
    /// Starts a command. The request goes out with the first wait for output, and input is sent from then on.
    ///
    /// Input that is sent before waits. Dropping the output leaves the command to its end, which comes when the client is
    /// missed: use [`Control::stop`] to end it at once.
    pub fn open(client: &Client, vm: &str, command: &Command) -> Self {
        let control = Control::new(client, vm);
        let (input, messages) = input::channel();
        let output = Output::new(&control, command, messages);
        Self {
            input,
            output,
            control,
        }
    }
}
