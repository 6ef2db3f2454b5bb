//! A bad wire: a TCP proxy that is slow, late, cuts, resets or stands still where a test says.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::detour::Detour;

/// How long a connection on which nothing moves is held.
const DEAD: Duration = Duration::from_secs(90);

/// What a wire is like when nothing breaks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Link {
    /// How late each byte arrives, each way.
    pub(crate) latency: Duration,
    /// Bytes a second each way, shared by all connections.
    pub(crate) rate: Option<u64>,
    /// The most bytes that travel together.
    pub(crate) slice: Option<usize>,
}

/// A direction, seen from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Up,
    Down,
}

/// How a connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Break {
    /// It ends as if that was all.
    Cut,
    /// The client's side is told of an error.
    Reset,
    /// Nothing moves on it any more; in the end a system gives it up.
    Stall,
}

/// The proxy. Connections end with it.
#[derive(Debug)]
pub(crate) struct FaultProxy {
    address: SocketAddr,
    wire: Arc<Wire>,
}

#[derive(Debug)]
struct Wire {
    server: SocketAddr,
    link: Link,
    detour: Option<Detour>,
    up: Lane,
    down: Lane,
    connections: AtomicUsize,
    is_frozen: AtomicBool,
    is_gone: AtomicBool,
    closed: AtomicBool,
}

/// One direction of all connections.
#[derive(Debug, Default)]
struct Lane {
    moved: AtomicU64,
    /// At which byte of all that moved it breaks, and how; once.
    fault: Mutex<Option<(u64, Break)>>,
    /// From when on the wire is free again.
    free: Mutex<Option<Instant>>,
}

/// What goes from the end that reads to the end that writes.
enum Parcel {
    Bytes(Instant, Vec<u8>),
    Break(Break),
}

impl FaultProxy {
    /// A wire to the server at `url`, which is `http://address:port`.
    pub(crate) fn new(url: &str, link: Link) -> Self {
        Self::start(url, link, |_, _| None)
    }

    /// As [`new`](Self::new), for the objects of a storage too whose signed URLs of one kind (`uploadUrl` or `downloadUrl`) pass by.
    pub(crate) fn with_storage(url: &str, link: Link, field: &str) -> Self {
        Self::start(url, link, |server, own| {
            Some(Detour::new(field, server, own))
        })
    }

    fn start(
        url: &str,
        link: Link,
        detour: impl Fn(SocketAddr, SocketAddr) -> Option<Detour>,
    ) -> Self {
        let server = url.strip_prefix("http://").unwrap().parse().unwrap();
        let listener = Detour::listener(server);
        // A buffer that takes everything at once would hide how slow the wire is.
        rustix::net::sockopt::set_socket_recv_buffer_size(&listener, 128 * 1024).unwrap();
        let address = listener.local_addr().unwrap();
        let wire = Arc::new(Wire {
            server,
            link,
            detour: detour(server, address),
            up: Lane::default(),
            down: Lane::default(),
            connections: AtomicUsize::new(0),
            is_frozen: AtomicBool::new(false),
            is_gone: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        });
        thread::spawn({
            let wire = wire.clone();
            move || accept(&listener, &wire)
        });
        Self { address, wire }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Breaks the connection that carries the byte after the next `bytes` of a direction. Only that one.
    pub(crate) fn break_after(&self, way: Way, bytes: u64, how: Break) {
        let lane = self.wire.lane(way);
        let at = lane.moved.load(Ordering::SeqCst) + bytes;
        *lane.fault.lock().unwrap() = Some((at, how));
    }

    /// Whether nothing moves any more on any connection, old or new, until it does again.
    pub(crate) fn freeze(&self, is_frozen: bool) {
        self.wire.is_frozen.store(is_frozen, Ordering::SeqCst);
    }

    /// Whether all connections break, old and new, until they do no more.
    pub(crate) fn take_away(&self, is_gone: bool) {
        self.wire.is_gone.store(is_gone, Ordering::SeqCst);
    }

    /// Whether the last break has come to pass.
    pub(crate) fn has_broken(&self, way: Way) -> bool {
        self.wire.lane(way).fault.lock().unwrap().is_none()
    }

    /// Bytes that moved in a direction so far.
    pub(crate) fn moved(&self, way: Way) -> u64 {
        self.wire.lane(way).moved.load(Ordering::SeqCst)
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.wire.connections.load(Ordering::SeqCst)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.wire.closed.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

impl Wire {
    fn lane(&self, way: Way) -> &Lane {
        match way {
            Way::Up => &self.up,
            Way::Down => &self.down,
        }
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::SeqCst)
    }

    /// Waits while nothing moves.
    fn wait_until_thawed(&self) {
        while self.is_frozen.load(Ordering::SeqCst) && !self.is_closed() {
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// How much is read at once: a hundredth of a second's worth, so that a slow wire flows and does not drip.
    fn piece(&self) -> usize {
        let steady = self
            .link
            .rate
            .map_or(64 * 1024, |rate| rate.div_ceil(100).clamp(512, 64 * 1024));
        let steady = usize::try_from(steady).unwrap();
        self.link.slice.map_or(steady, |slice| slice.min(steady))
    }
}

impl Lane {
    /// Waits until the wire has carried so many bytes.
    fn carry(&self, rate: Option<u64>, bytes: usize) {
        let Some(rate) = rate else { return };
        let takes = Duration::from_secs_f64(bytes as f64 / rate as f64);
        let done = {
            let mut free = self.free.lock().unwrap();
            let now = Instant::now();
            let done = free.map_or(now, |free| free.max(now)) + takes;
            *free = Some(done);
            done
        };
        thread::sleep(done.saturating_duration_since(Instant::now()));
    }

    /// How many of the next bytes still get through, and what happens then.
    fn pass(&self, bytes: usize) -> (usize, Option<Break>) {
        let mut fault = self.fault.lock().unwrap();
        let from = self.moved.fetch_add(bytes as u64, Ordering::SeqCst);
        match *fault {
            Some((at, how)) if at < from + bytes as u64 => {
                *fault = None;
                let through = at.saturating_sub(from);
                (usize::try_from(through).unwrap(), Some(how))
            }
            _ => (bytes, None),
        }
    }
}

fn accept(listener: &TcpListener, wire: &Arc<Wire>) {
    for client in listener.incoming() {
        if wire.is_closed() {
            return;
        }
        if wire.is_gone() {
            continue;
        }
        let (Ok(client), Ok(server)) = (client, TcpStream::connect(wire.server)) else {
            continue;
        };
        wire.connections.fetch_add(1, Ordering::SeqCst);
        for stream in [&client, &server] {
            stream.set_nodelay(true).unwrap();
            stream
                .set_read_timeout(Some(Duration::from_millis(200)))
                .unwrap();
        }
        let (client, server) = (Arc::new(client), Arc::new(server));
        let stands_still = Arc::new(AtomicBool::new(false));
        for way in [Way::Up, Way::Down] {
            let (sender, receiver) = sync_channel(512);
            let (from, to) = match way {
                Way::Up => (client.clone(), server.clone()),
                Way::Down => (server.clone(), client.clone()),
            };
            let (wire, still) = (wire.clone(), stands_still.clone());
            let ends = (client.clone(), to);
            thread::spawn({
                let (wire, still) = (wire.clone(), still.clone());
                move || read(&wire, way, &from, &sender, &still)
            });
            thread::spawn(move || write(&wire, ends, &receiver, &still));
        }
    }
}

fn read(wire: &Wire, way: Way, from: &TcpStream, to: &SyncSender<Parcel>, still: &AtomicBool) {
    let lane = wire.lane(way);
    let mut buffer = vec![0; wire.piece()];
    let mut detour = match way {
        Way::Down => wire.detour.clone(),
        Way::Up => None,
    };
    let mut from = from;
    while !still.load(Ordering::SeqCst) && !wire.is_closed() {
        if wire.is_gone() {
            let _ = to.send(Parcel::Break(Break::Reset));
            return;
        }
        let bytes = match (from.read(&mut buffer), &mut detour) {
            (Ok(0), _) => break,
            (Ok(got), Some(detour)) => detour.pass(&buffer[..got]),
            (Ok(got), None) => buffer[..got].to_vec(),
            // An answer may end with what could be the beginning of an address, and nothing comes after it.
            (Err(error), detour) if is_patience(&error) => {
                match detour.as_mut().and_then(Detour::rest) {
                    Some(rest) => rest,
                    None => continue,
                }
            }
            (Err(_), _) => break,
        };
        lane.carry(wire.link.rate, bytes.len());
        let (through, fault) = lane.pass(bytes.len());
        let due = Instant::now() + wire.link.latency;
        let sent = to.send(Parcel::Bytes(due, bytes[..through].to_vec()));
        if let Some(how) = fault {
            let _ = to.send(Parcel::Break(how));
            return;
        }
        if sent.is_err() {
            return;
        }
    }
    if let Some(rest) = detour.and_then(|mut detour| detour.rest()) {
        let _ = to.send(Parcel::Bytes(Instant::now(), rest));
    }
}

fn write(
    wire: &Wire,
    (client, to): (Arc<TcpStream>, Arc<TcpStream>),
    parcels: &Receiver<Parcel>,
    still: &AtomicBool,
) {
    for parcel in parcels {
        match parcel {
            Parcel::Bytes(due, bytes) => {
                thread::sleep(due.saturating_duration_since(Instant::now()));
                wire.wait_until_thawed();
                if (&*to).write_all(&bytes).is_err() {
                    break;
                }
            }
            Parcel::Break(Break::Cut) => {
                let _ = client.shutdown(Shutdown::Both);
                break;
            }
            Parcel::Break(Break::Reset) => {
                // Closing with a linger of nothing sends a reset; all holders of the socket let go of it once `still` is set.
                let _ = rustix::net::sockopt::set_socket_linger(&*client, Some(Duration::ZERO));
                still.store(true, Ordering::SeqCst);
                break;
            }
            Parcel::Break(Break::Stall) => {
                still.store(true, Ordering::SeqCst);
                let until = Instant::now() + DEAD;
                while !wire.is_closed() && Instant::now() < until {
                    thread::sleep(Duration::from_millis(50));
                }
                let _ = client.shutdown(Shutdown::Both);
                break;
            }
        }
    }
    wire.wait_until_thawed();
    if !still.load(Ordering::SeqCst) {
        let _ = to.shutdown(Shutdown::Write);
    }
}

fn is_patience(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}
