//! An HTTP proxy: tunnels by CONNECT, and plain requests by absolute address.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::time::timeout;

use super::addresses::Reach;
use super::head::{self, Forward, Length};

/// How long a caller may take to say what it wants, and a server to be found and to accept.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long to wait before accepting again when the system refuses.
const BREATH: Duration = Duration::from_millis(50);

/// Why a server is not reached, as a status line.
enum Refusal {
    Forbidden,
    Unreachable,
}

/// Serves until it is dropped. Public addresses are reached, and those that are named.
pub(in crate::local) async fn serve(listener: TcpListener, reach: Reach) {
    loop {
        match listener.accept().await {
            // A connection that breaks concerns its caller alone.
            Ok((caller, _)) => {
                let reach = reach.clone();
                drop(tokio::spawn(
                    async move { answer(caller, &reach).await.ok() },
                ));
            }
            Err(_) => tokio::time::sleep(BREATH).await,
        }
    }
}

async fn answer(mut caller: TcpStream, reach: &Reach) -> io::Result<()> {
    let Some(head) = timeout(PATIENCE, head::read(&mut caller)).await?? else {
        return refuse(&mut caller, "400 Bad Request", "this is an HTTP proxy").await;
    };
    let mut server = match timeout(PATIENCE, connect(&head.target, reach)).await? {
        Ok(server) => server,
        Err(Refusal::Forbidden) => {
            let why = format!(
                "{} is not a public address; name it in FASTVM_LOCAL_EGRESS=proxy:HOST to let VMs reach it",
                head.target
            );
            return refuse(&mut caller, "403 Forbidden", &why).await;
        }
        Err(Refusal::Unreachable) => {
            return refuse(
                &mut caller,
                "502 Bad Gateway",
                &format!("cannot reach {}", head.target),
            )
            .await;
        }
    };
    caller.set_nodelay(true)?;
    server.set_nodelay(true)?;
    match head.forward {
        None => {
            caller
                .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
                .await?;
            server.write_all(&head.rest).await?;
            copy_bidirectional(&mut caller, &mut server).await?;
            Ok(())
        }
        Some(forward) => pass_on(caller, server, forward, &head.rest).await,
    }
}

/// Connects to the first address of a target that may be reached. The very address that was looked at is the one that is called,
/// so that a name cannot change its mind in between.
async fn connect(target: &str, reach: &Reach) -> Result<TcpStream, Refusal> {
    let addresses: Vec<SocketAddr> = lookup_host(target)
        .await
        .map_err(|_| Refusal::Unreachable)?
        .collect();
    let reached: Vec<SocketAddr> = addresses
        .into_iter()
        .filter(|address| reach.admits(target, address.ip()))
        .collect();
    if reached.is_empty() {
        return Err(Refusal::Forbidden);
    }
    TcpStream::connect(reached.as_slice())
        .await
        .map_err(|_| Refusal::Unreachable)
}

/// Sends one request on, and the answer back until the server closes.
async fn pass_on(
    caller: TcpStream,
    server: TcpStream,
    forward: Forward,
    rest: &[u8],
) -> io::Result<()> {
    let (from_caller, mut to_caller) = caller.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    to_server.write_all(&forward.head).await?;
    let mut from_caller = rest.chain(from_caller);
    let request = async {
        match forward.body {
            Length::Known(length) => copy(&mut from_caller.take(length), &mut to_server).await,
            Length::Open => copy(&mut from_caller, &mut to_server).await,
        }
    };
    let answer = async {
        copy(&mut from_server, &mut to_caller).await?;
        to_caller.shutdown().await
    };
    // The answer ends it: a server may answer before it has read all.
    tokio::pin!(request, answer);
    tokio::select! {
        sent = &mut request => {
            sent?;
            answer.await
        }
        ended = &mut answer => ended,
    }
}

async fn refuse(caller: &mut TcpStream, status: &str, why: &str) -> io::Result<()> {
    let body = format!("fastvm: {why}\n");
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    caller.write_all(answer.as_bytes()).await?;
    caller.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says what it got, then what it is.
    async fn server() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut bytes = Vec::new();
                while !bytes.ends_with(b"end") {
                    socket.read_buf(&mut bytes).await.unwrap();
                }
                socket.write_all(&bytes).await.unwrap();
            }
        });
        address
    }

    async fn through(named: &[&str], request: String) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut socket = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        tokio::spawn(serve(
            listener,
            Reach::new(named.iter().map(|&name| name.to_owned())),
        ));
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn tunnels_and_plain_requests_arrive() {
        let server = server().await;
        let tunnel = format!("CONNECT {server} HTTP/1.1\r\n\r\nto the end");
        let answer = through(&["127.0.0.1"], tunnel).await;
        assert_eq!(
            answer,
            "HTTP/1.1 200 Connection established\r\n\r\nto the end"
        );
        let plain = format!(
            "POST http://{server}/p HTTP/1.1\r\nContent-Length: 3\r\n\r\nendGET http://other/"
        );
        let answer = through(&["127.0.0.1"], plain).await;
        assert_eq!(
            answer,
            "POST /p HTTP/1.1\r\nContent-Length: 3\r\nconnection: close\r\n\r\nend"
        );
    }

    #[tokio::test]
    async fn names_are_judged_by_what_they_lead_to_unless_they_are_named() {
        let named = through(
            &["LOCALHOST"],
            "CONNECT localhost:1 HTTP/1.1\r\n\r\n".to_owned(),
        )
        .await;
        assert!(named.starts_with("HTTP/1.1 502 Bad Gateway"), "{named}");
        let answer = through(
            &["other"],
            "CONNECT localhost:1 HTTP/1.1\r\n\r\n".to_owned(),
        )
        .await;
        assert!(answer.starts_with("HTTP/1.1 403 Forbidden"), "{answer}");
        let answer = through(&["other"], "GET / HTTP/1.1\r\n\r\n".to_owned()).await;
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request"), "{answer}");
    }
}
