//! An HTTP proxy: tunnels by CONNECT, and plain requests by absolute address.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, copy, copy_bidirectional, split,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;

use super::addresses::Reach;
use super::chunked;
use super::head::{self, Forward, Length, Malformed, Target};
use super::tunnel::Traffic;
use crate::connections::{VmConnections, accept};

/// How long a caller may take to send the head of its request.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a server may take to be found and to accept.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long nothing may move in either direction: a connection that is kept for later is ended some time, one that waits
/// for a slow answer is not.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// How many names one VM may have looked up at a time. A look-up takes a thread, and may take long where no name server
/// answers.
const LOOKUP_LIMIT: usize = 8;

/// Descriptors that a connection takes: the caller and the server.
const DESCRIPTORS: u32 = 2;

/// Why a server is not reached.
#[derive(Debug)]
enum Refusal {
    Forbidden,
    Unreachable,
}

/// Serves the programs of one VM until it is dropped, which ends their connections. Public addresses are reached, and
/// those that are named.
pub(crate) async fn serve(listener: TcpListener, reach: Reach, connections: VmConnections) {
    let lookups = Arc::new(Semaphore::new(LOOKUP_LIMIT));
    let mut answers = JoinSet::new();
    loop {
        let (caller, _) = tokio::select! {
            Some(_) = answers.join_next() => continue,
            accepted = accept(&listener) => accepted,
        };
        let admission = connections.admit(DESCRIPTORS).await;
        let proxy = Proxy {
            reach: reach.clone(),
            lookups: lookups.clone(),
        };
        answers.spawn(async move {
            // A connection that breaks concerns its caller alone.
            proxy.answer(caller).await.ok();
            drop(admission);
        });
    }
}

/// What one connection is answered with.
struct Proxy {
    reach: Reach,
    lookups: Arc<Semaphore>,
}

impl Proxy {
    async fn answer(&self, mut caller: TcpStream) -> io::Result<()> {
        let head = match timeout(HEADER_READ_TIMEOUT, head::read(&mut caller)).await?? {
            None => return Ok(()),
            Some(Ok(head)) => head,
            Some(Err(Malformed(why))) => return refuse(&mut caller, "400 Bad Request", why).await,
        };
        let Target { host, port } = &head.target;
        let server = match timeout(CONNECT_TIMEOUT, self.connect(host, *port)).await {
            Ok(Ok(server)) => server,
            Ok(Err(Refusal::Forbidden)) => {
                let why = format!(
                    "{host} is not a public address, or one of this computer and its networks; name it in \
                     FASTVM_LOCAL_EGRESS=proxy:HOST to let VMs reach it"
                );
                return refuse(&mut caller, "403 Forbidden", &why).await;
            }
            Ok(Err(Refusal::Unreachable)) => {
                let why = format!("cannot reach {host} on port {port}");
                return refuse(&mut caller, "502 Bad Gateway", &why).await;
            }
            Err(_) => {
                let why = format!("{host} did not answer on port {port} in time");
                return refuse(&mut caller, "504 Gateway Timeout", &why).await;
            }
        };
        caller.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let traffic = Traffic::default();
        let (mut caller, mut server) = (traffic.count(caller), traffic.count(server));
        let passing = async {
            match head.forward {
                None => {
                    caller
                        .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
                        .await?;
                    server.write_all(&head.rest).await?;
                    copy_bidirectional(&mut caller, &mut server).await.map(drop)
                }
                Some(forward) => pass_on(caller, server, forward, &head.rest).await,
            }
        };
        tokio::select! {
            passed = passing => passed,
            () = traffic.silence(IDLE_TIMEOUT) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Connects to the first address of a host that may be reached. The very address that was looked at is the one that is
    /// called, so that a name cannot change its mind in between.
    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, Refusal> {
        let lookup = self.lookups.clone().acquire_owned().await;
        let (host, reach) = (host.to_owned(), self.reach.clone());
        let looking = spawn_blocking(move || {
            // A look-up that nobody waits for any more still counts.
            let _lookup = lookup;
            look_up(&host, port, &reach)
        });
        let addresses = looking.await.map_err(|_| Refusal::Unreachable)??;
        TcpStream::connect(addresses.as_slice())
            .await
            .map_err(|_| Refusal::Unreachable)
    }
}

/// Returns the addresses of a host that may be reached; at least one.
fn look_up(host: &str, port: u16, reach: &Reach) -> Result<Vec<SocketAddr>, Refusal> {
    let mut addresses: Vec<SocketAddr> = (host, port)
        .to_socket_addrs()
        .map_err(|_| Refusal::Unreachable)?
        .collect();
    if addresses.is_empty() {
        return Err(Refusal::Unreachable);
    }
    addresses.retain(|address| reach.admits(host, address.ip()));
    if addresses.is_empty() {
        return Err(Refusal::Forbidden);
    }
    Ok(addresses)
}

/// Sends one request on, and the answer back until the server closes.
async fn pass_on(
    caller: impl AsyncRead + AsyncWrite,
    server: impl AsyncRead + AsyncWrite,
    forward: Forward,
    rest: &[u8],
) -> io::Result<()> {
    let (from_caller, mut to_caller) = split(caller);
    let (mut from_server, mut to_server) = split(server);
    to_server.write_all(&forward.head).await?;
    let mut from_caller = BufReader::new(rest.chain(from_caller));
    let request = async {
        match forward.body {
            Length::Known(length) => copy(&mut from_caller.take(length), &mut to_server)
                .await
                .map(drop),
            Length::Chunked => chunked::copy_body(&mut from_caller, &mut to_server).await,
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
    use crate::connections::ConnectionLimits;

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
            ConnectionLimits::new(64).of_one_vm(),
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
            format!(
                "POST /p HTTP/1.1\r\nHost: {server}\r\nContent-Length: 3\r\nConnection: close\r\n\r\nend"
            )
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
