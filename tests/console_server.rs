//! Consoles of a server that is not ours: it follows the protocol, but cuts, mixes and closes in other ways.

use std::sync::mpsc;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};
use tokio_tungstenite::tungstenite::protocol::{Message, Role};

use crate::common::Home;
use crate::common::terminal::Terminal;

const ID: &str = "3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7";
const TOKEN: &str = "one-shot-0123456789";

type Socket = WebSocketStream<TcpStream>;

/// The status and the body of an answer about the VM.
type Vm = (&'static str, &'static str);

/// What the server does once a console is open.
#[derive(Clone, Copy)]
enum Play {
    /// Shows a text in every way that frames can be cut, then what is typed, and closes at a `q`.
    OddFrames,
    Closes(u16, &'static str),
    Hangs,
}

/// A server of the protocol. What the test waits for comes through the channel: request heads and typed text.
struct Server {
    home: Home,
    heard: mpsc::Receiver<String>,
}

impl Server {
    /// `path` is what the answer to a token says; `{host}` in it is the server's own.
    fn new(path: &'static str, play: Play) -> Self {
        Self::with_vm(path, play, ("200 OK", "{}"))
    }

    /// The same, with what the API says of the VM once the console has ended.
    fn with_vm(path: &'static str, play: Play, vm: Vm) -> Self {
        let (tell, heard) = mpsc::channel();
        let (ready, is_ready) = mpsc::channel();
        std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all().build().unwrap().block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let host = listener.local_addr().unwrap().to_string();
                ready.send(format!("http://{host}")).unwrap();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let path = path.replace("{host}", &host);
                    tokio::spawn(answer(stream, path, (play, vm), tell.clone()));
                }
            });
        });
        let home = Home::with_server(&is_ready.recv().unwrap());
        Self {
            home: home.set("FASTVM_CUSTOM_HEADERS", "X-Mine: secret"),
            heard,
        }
    }

    fn console(&self) -> Terminal {
        Terminal::run(&mut self.home.command(&["console", ID]))
    }
}

async fn answer(
    mut stream: TcpStream,
    path: String,
    (play, vm): (Play, Vm),
    tell: mpsc::Sender<String>,
) {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else {
            return;
        };
        head.push(byte.into());
    }
    let key = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"))
        .map(|(_, key)| derive_accept_key(key.as_bytes()));
    let is_about_vm = head.starts_with(&format!("GET /v1/vms/{ID} "));
    // The test may be over.
    let _ = tell.send(head);
    let Some(accept) = key else {
        let token = format!(r#"{{"token":"{TOKEN}","expiresInSec":60,"websocketPath":"{path}"}}"#);
        let (status, body) = match is_about_vm {
            true => (vm.0, vm.1.to_owned()),
            false => ("200 OK", token),
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        return;
    };
    let upgrade = format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {accept}\r\n\r\n"
    );
    stream.write_all(upgrade.as_bytes()).await.unwrap();
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    match play {
        Play::OddFrames => odd_frames(&mut socket, &tell).await,
        Play::Closes(code, reason) => {
            socket.next().await;
            let frame = CloseFrame {
                code: code.into(),
                reason: reason.into(),
            };
            socket.close(Some(frame)).await.unwrap();
            while let Some(Ok(_)) = socket.next().await {}
        }
        // Gone without a word, as a host that loses its power.
        Play::Hangs => drop(socket.next().await),
    }
}

async fn odd_frames(socket: &mut Socket, tell: &mpsc::Sender<String>) {
    let send = async |socket: &mut Socket, message: Message| socket.send(message).await.unwrap();
    send(socket, Message::text("text ")).await;
    send(socket, Message::binary(Vec::new())).await;
    for byte in "cut é€ ".bytes() {
        send(socket, Message::binary(vec![byte])).await;
        send(socket, Message::Ping("are you there".into())).await;
    }
    let opcodes = [
        (Data::Binary, false),
        (Data::Continue, false),
        (Data::Continue, true),
    ];
    for (part, (data, last)) in ["fra", "gmen", "ted leaves\r\n"].into_iter().zip(opcodes) {
        let frame = Frame::message(part, OpCode::Data(data), last);
        send(socket, Message::Frame(frame)).await;
    }
    let mut pongs = 0;
    while let Some(Ok(message)) = socket.next().await {
        match message {
            Message::Text(text) => {
                let _ = tell.send(text.to_string());
                if text.contains('q') {
                    let _ = tell.send(format!("{pongs} pongs"));
                    break;
                }
            }
            Message::Pong(_) => pongs += 1,
            _ => {}
        }
    }
    let frame = CloseFrame {
        code: CloseCode::Normal,
        reason: "".into(),
    };
    socket.close(Some(frame)).await.unwrap();
    while let Some(Ok(_)) = socket.next().await {}
}

#[test]
fn frames_of_every_kind_and_cut_are_shown_whole() {
    let server = Server::new("/v1/odd/ws?shard=7", Play::OddFrames);
    let mut terminal = server.console();
    terminal.wait_for("text cut é€ fragmented leaves");
    terminal.type_in("é€😀");
    let token = server.heard.recv().unwrap();
    assert!(
        token.starts_with(&format!("POST /v1/vms/{ID}/console-token ")),
        "{token}"
    );
    let upgrade = server.heard.recv().unwrap();
    assert!(
        upgrade.starts_with(&format!("GET /v1/odd/ws?shard=7&session={TOKEN} ")),
        "{upgrade}"
    );
    let upgrade = upgrade.to_lowercase();
    for secret in [
        "x-api-key",
        "fv_test_key",
        "x-mine",
        "sec-websocket-protocol",
    ] {
        assert!(!upgrade.contains(secret), "{secret} in {upgrade}");
    }
    let size: serde_json::Value = serde_json::from_str(&server.heard.recv().unwrap()).unwrap();
    assert_eq!(
        size,
        serde_json::json!({"type": "resize", "cols": 80, "rows": 24})
    );
    let mut typed = String::new();
    while typed != "é€😀" {
        typed.push_str(&server.heard.recv().unwrap());
    }
    terminal.type_in("q");
    terminal.wait_for("the console was closed");
    assert_eq!((terminal.end(), terminal.is_given_back()), (0, true));
    assert_eq!(server.heard.iter().nth(1).unwrap(), "10 pongs");
}

#[test]
fn a_server_that_closes_says_why() {
    for (code, reason, shown) in [
        (1000, "", "the console was closed\n"),
        (1001, "", "the console was closed\n"),
        (1011, "", "the console was closed: code 1011\n"),
        (
            4001,
            "the VM was deleted",
            "the console was closed: the VM was deleted\n",
        ),
        (4002, "", "the console was closed: code 4002\n"),
    ] {
        let mut terminal = Server::new("/ws", Play::Closes(code, reason)).console();
        terminal.wait_for(shown.trim_end());
        assert_eq!((terminal.end(), terminal.is_given_back()), (0, true));
        terminal.read_to_the_end();
        assert!(
            terminal.text().ends_with(shown.trim_end()),
            "{}",
            terminal.text()
        );
    }
}

#[test]
fn a_console_that_ends_without_a_word_tells_what_became_of_the_vm() {
    let silent = Play::Closes(1000, "");
    for (play, vm, shown, code) in [
        (
            silent,
            ("404 Not Found", r#"{"error":"no such vm"}"#),
            "was deleted",
            0,
        ),
        (
            silent,
            ("200 OK", r#"{"id":"i","status":"deleting"}"#),
            "was deleted",
            0,
        ),
        (
            silent,
            ("200 OK", r#"{"id":"i","status":"paused"}"#),
            "is paused",
            0,
        ),
        (
            silent,
            ("200 OK", r#"{"id":"i","status":"stopped"}"#),
            "is stopped",
            0,
        ),
        (
            silent,
            ("200 OK", r#"{"id":"i","status":"error"}"#),
            "failed",
            0,
        ),
        (
            Play::Hangs,
            ("404 Not Found", r#"{"error":"no such vm"}"#),
            "was deleted",
            7,
        ),
        (
            Play::Hangs,
            ("200 OK", r#"{"id":"i","status":"paused"}"#),
            "is paused",
            7,
        ),
    ] {
        let mut terminal = Server::with_vm("/ws", play, vm).console();
        let closed = match code {
            0 => format!("the console was closed: VM {ID} {shown}"),
            _ => format!("error: the console broke: VM {ID} {shown}"),
        };
        // The screen has 80 columns.
        let first: String = closed.chars().take(80).collect();
        terminal.wait_for(&first);
        terminal.wait_for(shown.split(' ').next_back().unwrap());
        assert_eq!(
            (terminal.end(), terminal.is_given_back()),
            (code, true),
            "{vm:?}"
        );
    }
    let mut terminal = Server::with_vm(
        "/ws",
        silent,
        ("200 OK", r#"{"id":"i","status":"running"}"#),
    )
    .console();
    terminal.wait_for("the console was closed");
    assert_eq!(terminal.end(), 0);
    terminal.read_to_the_end();
    assert!(
        terminal.text().ends_with("the console was closed"),
        "{}",
        terminal.text()
    );
}

#[test]
fn keys_after_the_end_are_left_for_the_shell() {
    let mut terminal = Server::new("/ws", Play::Closes(1000, "")).console();
    terminal.wait_for("the console was closed");
    terminal.type_in("next\r");
    assert_eq!((terminal.end(), terminal.unread()), (0, 5));
}

#[test]
fn a_server_that_vanishes_is_a_failure_and_the_terminal_is_given_back() {
    let mut terminal = Server::new("/ws", Play::Hangs).console();
    terminal.wait_for("error: ");
    assert_eq!((terminal.end(), terminal.is_given_back()), (7, true));
}

#[test]
fn a_console_leads_to_the_host_of_the_api_alone() {
    let server = Server::new("ws://{host}/elsewhere", Play::Closes(1000, "bye"));
    let mut terminal = server.console();
    terminal.wait_for("the console was closed: bye");
    assert_eq!(terminal.end(), 0);
    for path in ["ws://localhost:9/ws", "wss://example.com/ws"] {
        let server = Server::new(path, Play::Hangs);
        let mut terminal = server.console();
        terminal.wait_for("a websocketPath that leads to");
        assert_eq!((terminal.end(), terminal.is_given_back()), (1, true));
        assert!(server.heard.recv().unwrap().starts_with("POST"));
        assert!(server.heard.try_recv().is_err());
    }
}
