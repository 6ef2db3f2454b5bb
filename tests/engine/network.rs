//! Ways in and out of a VM.

use std::time::Duration;

use fastvm_engine::{Egress, Forward};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::rig::{Rig, options};

#[tokio::test]
async fn the_proxy_keeps_vms_away_from_this_computer_and_its_networks() {
    let rig = Rig::start();
    let id = rig.vm().await;
    let own = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = own.local_addr().unwrap().port();
    let code = [
        "-sS",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code} %{http_connect}",
        "--noproxy",
        "",
    ];
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "0.0.0.0",
        "169.254.169.254",
        "10.0.0.1",
        "[::ffff:127.0.0.1]",
    ] {
        let url = format!("http://{host}:{port}/");
        let curl: Vec<&str> = ["curl"]
            .into_iter()
            .chain(code)
            .chain([url.as_str()])
            .collect();
        assert_eq!(rig.exec(&id, &curl).await["stdout"], "403 000", "{host}");
    }
    let url = format!("https://127.0.0.1:{port}/");
    let curl: Vec<&str> = ["curl"]
        .into_iter()
        .chain(code)
        .chain([url.as_str()])
        .collect();
    assert_eq!(rig.exec(&id, &curl).await["stdout"], "000 403");
    // Without the proxy there is no way at all.
    let run = rig
        .exec(
            &id,
            &[
                "curl",
                "-sS",
                "--noproxy",
                "*",
                &format!("http://127.0.0.1:{port}/"),
            ],
        )
        .await;
    assert_eq!(run["exitCode"], 7);
}

#[tokio::test]
async fn without_egress_nothing_is_announced() {
    let rig = Rig::with(|options| options.egress = Egress::None);
    let id = rig.vm().await;
    let run = rig.exec(&id, &["sh", "-c", "env | grep -ic proxy"]).await;
    assert_eq!(run["stdout"], "0\n");
}

#[tokio::test]
async fn a_port_that_the_firewall_admits_is_forwarded() {
    let rig = Rig::start();
    let request = json!({
        "machineType": "c1m1",
        "firewall": { "mode": "restricted", "ingress": [{ "protocol": "tcp", "portStart": 8000 }] },
    });
    let (_, vm) = rig.send("POST", "/v1/vms", request.to_string()).await;
    let id = vm["id"].as_str().unwrap().to_owned();
    let serve = "import socket\ns = socket.create_server(('127.0.0.1', 8000))\nopen('/root/ready', 'w')\nwhile True:\n c = s.accept()[0]\n c.sendall(c.recv(100).upper())\n c.close()";
    let start = format!(
        "python3 -c \"{serve}\" >/dev/null 2>&1 & until [ -e /root/ready ]; do sleep 0.01; done"
    );
    assert_eq!(rig.exec(&id, &["sh", "-c", &start]).await["exitCode"], 0);

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let data = options(rig.data.path());
    let forward = Forward::open(data, address, &id, 8000).await.unwrap();
    let task = tokio::spawn(forward.run(listener, async { drop(stopped.await) }));
    for _ in 0..3 {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(b"hello").await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(Duration::from_secs(20), socket.read_to_string(&mut answer))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(answer, "HELLO");
    }
    drop(stop);
    task.await.unwrap();
    let refused = Forward::open(options(rig.data.path()), address, &id, 8001)
        .await
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!("the firewall of vm {id} does not admit tcp port 8001")
    );
}
