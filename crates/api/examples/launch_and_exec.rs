//! Launches a VM, runs a command in it with its output as it comes, and deletes the VM.
//!
//! `FASTVM_BASE_URL=… FASTVM_API_KEY=… cargo run --example launch_and_exec -- uname -a`
#![expect(clippy::print_stderr, reason = "an example")]

use std::error::Error;
use std::io::{self, Write as _};
use std::{env, process};

use fastvm_api::Client;
use fastvm_api::exec::{Event, ExitStatus};
use fastvm_api::types::exec::ExecRequest;
use fastvm_api::types::vm::LaunchRequest;
use fastvm_api::wait::Wait;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<process::ExitCode, Box<dyn Error>> {
    let client = Client::builder(env::var("FASTVM_BASE_URL")?)
        .api_key(env::var("FASTVM_API_KEY")?)
        .proxies_from_environment(true)
        .build()?;
    let mut command: Vec<String> = env::args().skip(1).collect();
    if command.is_empty() {
        command = vec!["uname".to_owned(), "-a".to_owned()];
    }
    let vm = client.launch_vm(&LaunchRequest::of_type("c1m2")).await?;
    let id = &vm.value.id;
    eprintln!("launched {id}");
    let status = run(&client, id, &ExecRequest::new(command)).await;
    // The VM goes whether the command could be run or not.
    client.delete_vm(id).await?;
    Ok(process::ExitCode::from(
        u8::try_from(status?.code).unwrap_or(1),
    ))
}

async fn run(
    client: &Client,
    id: &str,
    command: &ExecRequest,
) -> Result<ExitStatus, Box<dyn Error>> {
    client
        .wait_until_running(id, Wait::default())
        .await?
        .ready()?;
    let mut stream = client.exec(id, command).await?;
    loop {
        match stream.next_event().await? {
            Event::Stdout(bytes) => io::stdout().write_all(&bytes)?,
            Event::Stderr(bytes) => io::stderr().write_all(&bytes)?,
            Event::Exit(status) => return Ok(status),
        }
    }
}
