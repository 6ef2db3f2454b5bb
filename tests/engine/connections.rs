//! Connections that nobody finishes, and callers that have too many.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::json;

use super::rig::Rig;
use crate::common::{Home, Serving};

/// How long anything may take before a test fails. Half-open requests are ended much sooner.
const LIMIT: Duration = Duration::from_secs(90);

/// Opens connections to a port of the VM's own network, and says whether the other side ends each.
const HALF_OPEN: &str = r#"
import socket, sys
for port in sys.argv[1:]:
    s = socket.create_connection(("127.0.0.1", int(port)))
    s.settimeout(90)
    s.sendall(b"GET http://x/ HTTP/1.1\r\nHost: ")
    while s.recv(4096): pass
print("ended")
"#;

fn begin(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket.write_all(bytes).unwrap();
    socket
}

/// What comes until the other side ends the connection.
fn rest(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    match socket.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("not ended: {error}"),
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn half_open_requests_are_ended_and_a_silent_program_is_not() {
    let rig = Rig::start();
    let id = rig.vm().await;
    let address = rig.engine().address();
    let key = rig.engine().key().expose().to_owned();
    let silent = rig
        .request("POST", &format!("/v1/vms/{id}/exec"))
        .header("accept", "application/x-ndjson")
        .body(json!({ "command": ["sh", "-c", "sleep 40; echo done"] }).to_string());
    let silent = tokio::spawn(async move { silent.send().await.unwrap().text().await.unwrap() });
    let port = address.port().to_string();
    let proxy = rig.exec(&id, &["sh", "-c", "echo ${http_proxy##*:}"]).await["stdout"]
        .as_str()
        .unwrap()
        .trim()
        .to_owned();
    let half_open = ["python3", "-c", HALF_OPEN, &port, &proxy];
    let guests = rig.exec(&id, &half_open);

    let heads = [
        String::new(),
        "P".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "GET /healthz HTTP/1.1\r\nHost: ".to_owned(),
        // A body that does not come.
        format!(
            "POST /v1/vms HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\nContent-Length: 10\r\n\r\n{{"
        ),
    ];
    let clients = tokio::task::spawn_blocking(move || {
        let mut open: Vec<_> = heads
            .iter()
            .map(|head| begin(address, head.as_bytes()))
            .collect();
        // A second request on a connection that has had one.
        let mut again = begin(address, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        again.read_exact(&mut [0; 12]).unwrap();
        again.write_all(b"GET /v1/vms HTTP/1.1\r\nHost:").unwrap();
        open.push(again);
        open.iter_mut().map(rest).collect::<Vec<_>>()
    });
    let (ended, clients) = tokio::join!(guests, clients);
    assert_eq!(ended["stdout"], "ended\n", "{ended}");
    let clients = clients.unwrap();
    assert!(clients[4].starts_with("HTTP/1.1 408 "), "{clients:?}");
    let output = silent.await.unwrap();
    assert!(output.contains(r#""d":"ZG9uZQo=""#), "{output}");
}

#[test]
fn callers_without_a_key_take_no_place_from_one_with_it() {
    let home = Home::new();
    let serving = Serving::start(&home);
    let address: SocketAddr = serving
        .url
        .strip_prefix("http://")
        .unwrap()
        .parse()
        .unwrap();
    let list = format!(
        "GET /v1/vms HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {}\r\n\r\n",
        serving.key
    );
    let answered = |socket: &mut TcpStream| {
        socket.write_all(list.as_bytes()).unwrap();
        let mut head = [0; 12];
        socket.read_exact(&mut head).unwrap();
        let mut rest = vec![0; 4096];
        while !rest.windows(2).any(|two| two == b"[]") {
            assert!(socket.read(&mut rest).unwrap() > 0);
        }
        assert_eq!(&head, b"HTTP/1.1 200");
    };
    let mut known = begin(address, b"");
    answered(&mut known);
    let mut strangers: Vec<_> = (0..1500).map(|_| begin(address, b"GET /")).collect();
    answered(&mut known);
    // The oldest of them are ended as others come.
    while serving.descriptors() >= 1200 {
        std::thread::yield_now();
    }
    answered(&mut begin(address, b""));
    assert_eq!(rest(&mut strangers[0]), "");
}

#[test]
fn a_vm_with_thousands_of_connections_takes_no_place_from_others() {
    let home = Home::new();
    let serving = Serving::start(&home);
    let client = Home::with_server(&serving.url).set("FASTVM_API_KEY", &serving.key);
    for name in ["greedy", "modest"] {
        client.ok(&[
            "launch",
            "-n",
            name,
            "--no-console",
            "--quiet",
            "-o",
            "name",
        ]);
    }
    let port = serving.url.rsplit_once(':').unwrap().1;
    let hold = r#"
import os, resource, socket, sys, time
limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
ports = [int(sys.argv[1]), int(os.environ["http_proxy"].rsplit(":", 1)[1])]
held = []
for turn in range(2000):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(("127.0.0.1", ports[turn % 2]))
    held.append(s)
open("/tmp/held", "w")
time.sleep(600)
"#;
    let start =
        "python3 -c \"$1\" $2 >/dev/null 2>&1 & until [ -e /tmp/held ]; do sleep 0.05; done";
    client.ok(&["exec", "greedy", "--", "sh", "-c", start, "sh", hold, port]);
    for _ in 0..3 {
        assert_eq!(client.ok(&["exec", "modest", "--", "echo", "here"]), "here");
    }
    // Its door and its proxy are there for the other one.
    let asked = client.ok(&[
        "exec", "modest", "--", "sh", "-c",
        "curl -s -o /dev/null -w '%{http_code} ' --noproxy '*' http://127.0.0.1:$1/healthz; curl -s -o /dev/null -w '%{http_code}' http://10.0.0.1/",
        "sh", port,
    ]);
    assert_eq!(asked, "200 403");
    assert!(serving.descriptors() < 700, "{}", serving.descriptors());
}
