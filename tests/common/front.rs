//! A server in front of the engine: what a test does not answer itself, or lose, is passed on, storage included.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::detour::Detour;

/// What becomes of one request.
#[derive(Clone, Debug)]
pub(crate) enum Say {
    /// The engine gets it, and the client its answer.
    Pass,
    /// The engine gets it twice, one after the other, and the client the second answer. For what is posted.
    PassTwice,
    /// The client gets this, byte for byte, once its request is read; the engine gets nothing.
    Answer(String),
    /// The engine gets it, and the client nothing.
    LoseAnswer,
    /// The engine gets it, and the client nothing, for as long as it waits.
    HoldAnswer,
    /// Nobody gets anything, for as long as the client waits.
    Silence,
}

/// A request, as far as a test tells it apart.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Method and path, without the query.
    pub(crate) line: String,
    /// The head, in lower case.
    pub(crate) head: String,
    /// What was posted.
    pub(crate) body: String,
}

impl Asked {
    /// An upload of nothing.
    pub(crate) fn empties(&self) -> bool {
        self.line.starts_with("PUT") && self.head.contains("\r\ncontent-length: 0\r\n")
    }
}

type Decide = dyn FnMut(&Asked) -> Say + Send;

/// The server; it lives as long as the test.
pub(crate) struct Front {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

#[derive(Clone)]
struct Behind {
    server: SocketAddr,
    detour: Detour,
    asked: Arc<Mutex<Vec<Asked>>>,
    decide: Arc<Mutex<Box<Decide>>>,
}

impl Front {
    /// Before the engine at `url`; signed URLs in `field` (`uploadUrl` or `downloadUrl`) lead here too.
    pub(crate) fn new(
        url: &str,
        field: &str,
        decide: impl FnMut(&Asked) -> Say + Send + 'static,
    ) -> Self {
        let server = url.strip_prefix("http://").unwrap().parse().unwrap();
        let listener: TcpListener = Detour::listener(server);
        let address = listener.local_addr().unwrap();
        let behind = Behind {
            server,
            detour: Detour::new(field, server, address),
            asked: Arc::default(),
            decide: Arc::new(Mutex::new(Box::new(decide))),
        };
        let asked = behind.asked.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let behind = behind.clone();
                // A client that leaves in the middle concerns nobody else.
                thread::spawn(move || drop(client.and_then(|client| serve(client, behind))));
            }
        });
        Self {
            url: format!("http://{address}"),
            asked,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// How many requests had a line that holds this, without those that emptied an object.
    pub(crate) fn count(&self, part: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .filter(|asked| asked.line.contains(part) && !asked.empties())
            .count()
    }

    /// How many requests posted something that holds this.
    pub(crate) fn count_posted(&self, part: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .filter(|asked| asked.body.contains(part))
            .count()
    }
}

fn serve(mut client: TcpStream, behind: Behind) -> io::Result<()> {
    let (head, mut rest) = read_head(&mut client)?;
    let line = head.lines().next().unwrap_or_default();
    let line = line.split(['?', ' ']).take(2).collect::<Vec<_>>().join(" ");
    let mut asked = Asked {
        line,
        head: head.to_lowercase(),
        body: String::new(),
    };
    if asked.line.starts_with("POST") {
        read_whole(&mut client, &asked.head, &mut rest)?;
        asked.body = String::from_utf8_lossy(&rest).into_owned();
    }
    behind.asked.lock().unwrap().push(asked.clone());
    let say = (behind.decide.lock().unwrap())(&asked);
    let loses = match say {
        Say::Answer(answer) => {
            read_body(&mut client, &asked.head, rest)?;
            client.write_all(answer.as_bytes())?;
            return client.shutdown(Shutdown::Write);
        }
        Say::Silence => {
            read_body(&mut client, &asked.head, rest)?;
            return client.read(&mut [0]).map(drop);
        }
        Say::Pass => false,
        Say::PassTwice => {
            let mut server = TcpStream::connect(behind.server)?;
            write!(server, "{}\r\nconnection: close\r\n\r\n", kept(&head))?;
            server.write_all(&rest)?;
            io::copy(&mut server, &mut io::sink())?;
            false
        }
        Say::LoseAnswer | Say::HoldAnswer => true,
    };
    let mut server = TcpStream::connect(behind.server)?;
    write!(server, "{}\r\nconnection: close\r\n\r\n", kept(&head))?;
    server.write_all(&rest)?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    let body = thread::spawn(move || io::copy(&mut from, &mut to));
    if loses {
        // It has done its work when its answer ends.
        io::copy(&mut server, &mut io::sink())?;
        if matches!(say, Say::HoldAnswer) {
            // The other thread reads from the client until it leaves.
            return body.join().map_or(Ok(()), |copied| copied.map(drop));
        }
        client.shutdown(Shutdown::Both)?;
    } else {
        let mut detour = behind.detour;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let got = server.read(&mut buffer)?;
            if got == 0 {
                break;
            }
            client.write_all(&detour.pass(&buffer[..got]))?;
        }
        client.write_all(&detour.rest().unwrap_or_default())?;
        client.shutdown(Shutdown::Both)?;
    }
    let _ = server.shutdown(Shutdown::Both);
    let _ = body.join();
    Ok(())
}

/// The lines of a head, but for what it says of the connection.
fn kept(head: &str) -> String {
    let lines = head.split("\r\n");
    let kept: Vec<_> = lines
        .filter(|line| !line.is_empty() && !line.to_lowercase().starts_with("connection:"))
        .collect();
    kept.join("\r\n")
}

/// The head of a request, and what came with it.
fn read_head(client: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        if let Some(end) = memchr::memmem::find(&bytes, b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            return Ok((String::from_utf8_lossy(&bytes).into_owned(), rest));
        }
        match client.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            got => bytes.extend_from_slice(&buffer[..got]),
        }
    }
}

fn length(head: &str) -> Option<usize> {
    head.lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map(|length| length.trim().parse().unwrap())
}

/// Reads the rest of a body whose length is announced.
fn read_whole(client: &mut TcpStream, head: &str, body: &mut Vec<u8>) -> io::Result<()> {
    let missing = length(head).unwrap_or(0).saturating_sub(body.len());
    client.take(missing as u64).read_to_end(body).map(drop)
}

/// Reads a body to its end, so that the answer is not lost to a reset.
fn read_body(client: &mut TcpStream, head: &str, mut body: Vec<u8>) -> io::Result<()> {
    let length = length(head);
    let chunked = head.contains("transfer-encoding: chunked");
    let mut buffer = [0; 64 * 1024];
    let mut read = body.len();
    while match length {
        Some(length) => read < length,
        None => chunked && !body.ends_with(b"0\r\n\r\n"),
    } {
        let got = client.read(&mut buffer)?;
        if got == 0 {
            break;
        }
        read += got;
        let keep = body.len().min(8);
        body.drain(..body.len() - keep);
        body.extend_from_slice(&buffer[..got]);
    }
    Ok(())
}
