//! How long things take. Run by hand: `cargo test --release --test engine speed -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use fastvm_engine::start;
use serde_json::json;

use super::rig::{Rig, options};

#[expect(clippy::print_stdout, reason = "a measurement is there to be read")]
fn show(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!(
        "{what:>28}: p50 {:?}, p95 {:?}, max {:?}",
        at(50),
        at(95),
        at(100)
    );
}

#[tokio::test]
#[ignore = "measures; says nothing on a busy computer"]
async fn verbs() {
    let rig = Rig::start();
    let mut times: [Vec<Duration>; 9] = Default::default();
    let mut rig = rig;
    for _ in 0..100 {
        rig.get("/healthz").await;
        let began = Instant::now();
        rig.engine.take().unwrap().stop();
        times[8].push(began.elapsed());
        let began = Instant::now();
        rig.engine = Some(start(options(rig.data.path())).unwrap());
        times[0].push(began.elapsed());
    }
    for _ in 0..100 {
        let began = Instant::now();
        let vm = rig.vm().await;
        times[1].push(began.elapsed());
        let began = Instant::now();
        rig.exec(&vm, &["true"]).await;
        times[2].push(began.elapsed());
        let began = Instant::now();
        rig.exec(&vm, &["true"]).await;
        times[3].push(began.elapsed());
        let began = Instant::now();
        let (_, snapshot) = rig
            .send("POST", "/v1/snapshots", json!({ "vmId": vm }).to_string())
            .await;
        times[4].push(began.elapsed());
        let began = Instant::now();
        let request = json!({ "snapshotId": snapshot["id"] }).to_string();
        let (_, copy) = rig.send("POST", "/v1/vms", request).await;
        times[5].push(began.elapsed());
        let began = Instant::now();
        rig.send("DELETE", &format!("/v1/vms/{vm}"), "").await;
        times[6].push(began.elapsed());
        let began = Instant::now();
        rig.get("/v1/vms").await;
        times[7].push(began.elapsed());
        rig.send(
            "DELETE",
            &format!("/v1/vms/{}", copy["id"].as_str().unwrap()),
            "",
        )
        .await;
        rig.send(
            "DELETE",
            &format!("/v1/snapshots/{}", snapshot["id"].as_str().unwrap()),
            "",
        )
        .await;
    }
    let names = [
        "start",
        "launch",
        "first exec",
        "exec",
        "snapshot (idle)",
        "restore",
        "delete",
        "list",
        "stop",
    ];
    for (name, times) in names.into_iter().zip(times) {
        show(name, times);
    }
}

#[tokio::test]
#[ignore = "measures; says nothing on a busy computer"]
async fn bytes() {
    let rig = Rig::start();
    let vm = rig.vm().await;
    for _ in 0..3 {
        let began = Instant::now();
        let request = json!({ "command": ["head", "-c", "1000000000", "/dev/zero"] }).to_string();
        let call = rig
            .request("POST", &format!("/v1/vms/{vm}/exec"))
            .header("accept", "application/x-ndjson")
            .body(request);
        let mut answer = call.send().await.unwrap();
        let mut size = 0;
        while let Some(chunk) = answer.chunk().await.unwrap() {
            size += chunk.len();
        }
        println!(
            "streaming exec: {:.0} MB/s of output, {size} bytes on the wire",
            1000.0 / began.elapsed().as_secs_f64()
        );
    }
}
