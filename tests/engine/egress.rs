//! What the proxy passes on, and where it does not go.

use std::process::Command;

use serde_json::json;

use super::rig::Rig;
use crate::common::{FASTVM, Home, Ran};

/// Sends bytes to the proxy of the VM and prints the first line of the answer, and the last.
const ASK: &str = r#"
import os, socket, sys, urllib.parse
proxy = urllib.parse.urlsplit(os.environ["http_proxy"])
s = socket.create_connection((proxy.hostname, proxy.port))
s.sendall(sys.argv[1].encode("latin-1"))
answer = b""
while part := s.recv(65536):
    answer += part
lines = answer.decode().strip().split("\r\n")
print(lines[0] + " | " + lines[-1])
"#;

#[tokio::test]
async fn a_request_that_can_be_read_in_two_ways_is_not_passed_on() {
    let rig = Rig::start();
    let id = rig.vm().await;
    let body = "POST http://127.0.0.1/ HTTP/1.1\r\nHost: 127.0.0.1\r\n";
    for (request, why) in [
        (
            format!("{body}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            "the request has both Content-Length and Transfer-Encoding",
        ),
        (
            format!("{body}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
            "the request has differing Content-Lengths",
        ),
        (
            format!("{body}Transfer-Encoding: chunked, gzip\r\n\r\n"),
            "the only Transfer-Encoding that is taken is chunked, once, with HTTP/1.1",
        ),
        (
            format!("{body}A: 1\r\n b: 2\r\n\r\n"),
            "the head of the request is not HTTP",
        ),
        (
            format!("{body}Host: other\r\n\r\n"),
            "the request has more than one Host",
        ),
        (
            "CONNECT 127.0.0.1:80@other:80 HTTP/1.1\r\n\r\n".to_owned(),
            "the address of CONNECT is not a host and a port",
        ),
    ] {
        let run = rig.exec(&id, &["python3", "-c", ASK, &request]).await;
        let told = format!("HTTP/1.1 400 Bad Request | fastvm: {why}\n");
        assert_eq!(run["stdout"], json!(told), "{request:?}: {run}");
    }
}

#[tokio::test]
async fn an_address_of_this_computer_is_refused_however_it_is_written() {
    let rig = Rig::start();
    let id = rig.vm().await;
    for host in [
        "127.1",
        "0x7f.1",
        "2130706433",
        "017700000001",
        "LOCALHOST",
        "0",
        "[::]",
        "[::1]",
        "[::127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "192.88.99.1",
        "[3fff::1]",
        "[5f00::1]",
        "[100:0:0:1::1]",
    ] {
        let request = format!("CONNECT {host}:80 HTTP/1.1\r\n\r\n");
        let run = rig.exec(&id, &["python3", "-c", ASK, &request]).await;
        let answer = run["stdout"].as_str().unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 403 Forbidden"),
            "{host}: {run}"
        );
    }
}

/// Runs in a network of its own, which has public addresses. The server is reached there, so what refuses it is the proxy.
const OWN_ADDRESSES: &str = r#"
set -eu
PATH=$PATH:/usr/sbin:/sbin
ip link set lo up
ip address add 11.22.33.44/32 dev lo
ip route add 13.0.0.0/24 dev lo
ip -6 address add 2a01:db::1/64 dev lo nodad
python3 -c 'import http.server as h; s = h.HTTPServer(("", 8000), h.SimpleHTTPRequestHandler); open("ready", "w"); s.serve_forever()' 2>server.log &
server=$!
trap 'kill $server' EXIT
until [ -e ready ]; do sleep 0.05; done
$FASTVM local serve --quiet >served &
engine=$!
trap 'kill $server $engine; wait' EXIT
until grep -q listening served; do sleep 0.05; done
eval "$($FASTVM local env)"
$FASTVM launch --name dev --no-console --quiet -o name
code() { curl -s -o /dev/null -w '%{http_code}' --noproxy '*' "$1"; }
inside() { $FASTVM exec dev -- curl -s -o /dev/null -w '%{http_code}' "$1"; }
echo "here: $(code http://11.22.33.44:8000/)"
for host in 11.22.33.44 13.0.0.5 '[2a01:db::1]' '[2a01:db::5]' '[::ffff:11.22.33.44]'; do
  echo "$host: $(inside "http://$host:8000/")"
done
ip address add 14.0.0.1/32 dev lo
echo "added: $(code http://14.0.0.1:8000/) $(inside http://14.0.0.1:8000/)"
env FASTVM_LOCAL_EGRESS=proxy:14.0.0.1 $FASTVM --local exec dev -- sh -c 'curl -s -o /dev/null -w "named: %{http_code}\n" http://14.0.0.1:8000/'
"#;

#[test]
fn public_addresses_of_this_computer_and_its_networks_are_refused_as_they_are_now() {
    let home = Home::new();
    std::fs::write(home.join("script"), OWN_ADDRESSES).unwrap();
    let mut command = Command::new("unshare");
    let (user, group) = (rustix::process::getuid(), rustix::process::getgid());
    let fastvm = if user.is_root() {
        command.args(["--net", "sh", "script"]);
        FASTVM.to_owned()
    } else {
        // Addresses are added by root of a user namespace. The engine is the user's, as it is outside.
        command.args(["--user", "--map-root-user", "--net", "sh", "script"]);
        let (user, group) = (user.as_raw(), group.as_raw());
        format!("unshare --user --map-user={user} --map-group={group} {FASTVM}")
    };
    let reference = home.command(&[]);
    let ran = Ran::of(
        &command
            .env_clear()
            .envs(
                reference
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .env("FASTVM", fastvm)
            .current_dir(home.path())
            .output()
            .unwrap(),
    );
    assert_eq!(
        ran.stdout,
        "dev\nhere: 200\n11.22.33.44: 403\n13.0.0.5: 403\n[2a01:db::1]: 403\n[2a01:db::5]: 403\n\
         [::ffff:11.22.33.44]: 403\nadded: 200 403\nnamed: 200\n",
        "{ran}"
    );
}
