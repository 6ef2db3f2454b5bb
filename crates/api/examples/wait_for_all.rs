//! Launches three VMs, waits for all of them at once, and deletes them.
//!
//! `FASTVM_BASE_URL=… FASTVM_API_KEY=… cargo run --example wait_for_all`
#![expect(clippy::print_stdout, reason = "an example")]

use std::env;
use std::time::Duration;

use fastvm_api::Client;
use fastvm_api::types::vm::LaunchRequest;
use fastvm_api::wait::{Wait, Waited};
use futures_util::future::join_all;

const COUNT: usize = 3;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::builder(env::var("FASTVM_BASE_URL")?)
        .api_key(env::var("FASTVM_API_KEY")?)
        .proxies_from_environment(true)
        .build()?;
    let request = LaunchRequest::of_type("c1m2");
    let launched = join_all((0..COUNT).map(|_| client.launch_vm(&request))).await;
    let mut ids = Vec::new();
    for vm in launched {
        match vm {
            Ok(vm) => ids.push(vm.value.id),
            Err(error) => println!("one was not launched: {error}"),
        }
    }
    join_all(ids.iter().map(|id| report(&client, id))).await;
    for deleted in join_all(ids.iter().map(|id| client.delete_vm(id))).await {
        deleted?;
    }
    Ok(())
}

async fn report(client: &Client, id: &str) {
    let wait = Wait::up_to(Duration::from_secs(60));
    let waited = client.wait_until_running(id, wait).await;
    match waited.and_then(Waited::ready) {
        Ok(_) => println!("{id} runs"),
        Err(error) if error.is_not_found() => println!("{id} is gone"),
        Err(error) => println!("{id} does not run: {error}"),
    }
}
