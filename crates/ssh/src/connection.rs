//! One connection: keys, login, and then channels (RFC 4254).

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fastvm_stream::Terminal;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::authentication::{Answer, Authentication};
use crate::channel::{Channel, Data, Incoming, MOST_DATA, Request, WINDOW};
use crate::key_exchange::KeyExchange;
use crate::packet::{NewKey, PacketReader, PacketWriter};
use crate::sending::{self, AboutKeys, Outgoing};
use crate::session::{self, Program, Surroundings};
use crate::wire::{Reader, Writer};
use crate::{Error, Server, command, forward, message};

/// The first line of the server. OpenSSH tells only servers with its name in front that nobody takes output any more.
const VERSION: &str = concat!("SSH-2.0-OpenSSH_by_fastvm_", env!("CARGO_PKG_VERSION"));
/// How many messages of the client may wait.
const QUEUE: usize = 8;
/// How many channels there may be at once.
const MOST_CHANNELS: usize = 256;
/// How long commands may take to end when the client is gone.
const END_TIMEOUT: Duration = Duration::from_secs(10);
/// The size of a terminal whose client does not know it.
const USUAL_SIZE: (u16, u16) = (24, 80);

/// Serves a client on a pair of byte streams until it is gone or `stop` is done, and then ends what it has left running.
///
/// # Errors
/// As [`Error`] lists them.
pub async fn serve<R, W>(
    server: Server,
    reader: R,
    writer: W,
    stop: impl Future<Output = ()>,
) -> Result<(), Error>
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let mut reader = PacketReader::new(reader);
    let mut writer = PacketWriter::new(writer, VERSION);
    writer.flush().await?;
    let mut stop = pin!(stop);
    let version = tokio::select! {
        version = reader.version() => version?,
        () = &mut stop => return Ok(()),
    };
    let (outgoing, queues) = sending::queues();
    let sending = tokio::spawn(sending::run(queues, writer));
    let (packets, keys, reading) = read(reader);
    let mut connection = Connection {
        server: Arc::new(server),
        key_exchange: KeyExchange::new(version, VERSION),
        keys,
        outgoing,
        user: None,
        channels: HashMap::new(),
        next_channel: 0,
        running: JoinSet::new(),
        is_told: Told::default(),
    };
    let ended = tokio::select! {
        ended = connection.run(packets) => ended,
        () = stop => Ok(()),
    };
    reading.abort();
    // Whatever runs learns it from its channel.
    let Connection {
        mut running,
        channels,
        outgoing,
        ..
    } = connection;
    drop((channels, outgoing));
    let _ = timeout(END_TIMEOUT, async {
        while running.join_next().await.is_some() {}
    })
    .await;
    sending.abort();
    ended
}

/// Packets of the client, each a message or why there is none.
type Packets = mpsc::Receiver<Result<Vec<u8>, Error>>;

/// Reads packets as they come. After the message that ends an exchange of keys it waits for the new key.
fn read<R: AsyncRead + Unpin + Send + 'static>(
    mut reader: PacketReader<R>,
) -> (
    Packets,
    mpsc::UnboundedSender<NewKey>,
    tokio::task::JoinHandle<()>,
) {
    let (sender, packets) = mpsc::channel(QUEUE);
    let (keys, mut new_keys) = mpsc::unbounded_channel();
    let reading = tokio::spawn(async move {
        while let Some(packet) = reader.next().await.transpose() {
            let is_last = packet.is_err();
            let is_new_key = packet
                .as_ref()
                .is_ok_and(|packet| packet.first() == Some(&message::NEWKEYS));
            if sender.send(packet).await.is_err() || is_last {
                return;
            }
            if is_new_key {
                match new_keys.recv().await {
                    Some(key) => reader.set_key(&key),
                    None => return,
                }
            }
        }
    });
    (packets, keys, reading)
}

struct Connection {
    server: Arc<Server>,
    key_exchange: KeyExchange,
    /// Where keys for what the client sends go.
    keys: mpsc::UnboundedSender<NewKey>,
    outgoing: Outgoing,
    /// The user of the VM, once the client is in.
    user: Option<String>,
    channels: HashMap<u32, Open>,
    next_channel: u32,
    running: JoinSet<()>,
    is_told: Told,
}

/// What the person at the client was told already.
#[derive(Default)]
struct Told {
    ports: bool,
    agent: bool,
}

/// A channel that the client has not closed.
struct Open {
    channel: Channel,
    data: mpsc::UnboundedSender<Option<Bytes>>,
    requests: mpsc::UnboundedSender<Request>,
    /// What a session needs to begin. `None` once it has, and for connections.
    waiting: Option<(Surroundings, Incoming)>,
}

impl Connection {
    async fn run(&mut self, mut packets: Packets) -> Result<(), Error> {
        let proposal = self.key_exchange.propose()?;
        self.outgoing.keys(AboutKeys::Message(proposal));
        let mut authentication = Authentication::new(self.server.client_key);
        loop {
            let message = tokio::select! {
                Some(_) = self.running.join_next() => continue,
                packet = packets.recv() => match packet {
                    Some(packet) => packet?,
                    None => return Ok(()),
                },
            };
            match message.first().copied().unwrap_or_default() {
                message::DISCONNECT => return Ok(()),
                message::KEXINIT..=49 => self.exchange_keys(&message)?,
                _ if self.key_exchange.is_exclusive() => {
                    return Err(Error::Client("exchanges keys out of turn"));
                }
                message::IGNORE | message::UNIMPLEMENTED | message::DEBUG | message::EXTENSIONS => {
                }
                _ if self.user.is_some() => self.take(&message)?,
                _ => self.log_in(&mut authentication, &message)?,
            }
        }
    }

    fn exchange_keys(&mut self, message: &[u8]) -> Result<(), Error> {
        let step = self.key_exchange.take(message, &self.server.host_key)?;
        for message in step.messages {
            self.outgoing.keys(AboutKeys::Message(message));
        }
        if let Some(key) = step.sealing {
            self.outgoing.keys(AboutKeys::Key(key));
        }
        if let Some(key) = step.opening {
            // Without a reader the connection is over.
            let _ = self.keys.send(key);
        }
        Ok(())
    }

    fn log_in(&mut self, login: &mut Authentication, message: &[u8]) -> Result<(), Error> {
        let session_id = self.key_exchange.session_id().ok_or(Error::NotLoggedIn)?;
        match login.take(message, session_id)? {
            Answer::Message(answer) => self.outgoing.answer(answer),
            Answer::In(user) => {
                self.user = Some(user);
                let success = Writer::message(message::USERAUTH_SUCCESS).done();
                self.outgoing.answer(success);
            }
        }
        Ok(())
    }

    /// Takes a message of a client that is in.
    fn take(&mut self, message: &[u8]) -> Result<(), Error> {
        let mut reader = Reader::new(message);
        let number = reader.u8()?;
        match number {
            // It is in.
            message::USERAUTH_REQUEST => return Ok(()),
            message::GLOBAL_REQUEST => return self.global_request(reader),
            message::CHANNEL_OPEN => return self.open(reader),
            message::CHANNEL_OPEN_CONFIRMATION..=message::CHANNEL_FAILURE => {}
            _ => return Err(Error::Client("sent a message that none is")),
        }
        let id = reader.u32()?;
        let unknown = Error::Client("means a channel that is not open");
        let open = self.channels.get_mut(&id).ok_or(unknown)?;
        // Where nobody takes it any more, the command has ended.
        match number {
            message::CHANNEL_DATA => {
                let bytes = reader.string()?;
                open.channel.count(bytes.len())?;
                let _ = open.data.send(Some(Bytes::copy_from_slice(bytes)));
            }
            // No client has any to send.
            message::CHANNEL_EXTENDED_DATA => open.channel.count({
                reader.u32()?;
                reader.string()?.len()
            })?,
            message::CHANNEL_EOF => {
                let _ = open.data.send(None);
            }
            message::CHANNEL_WINDOW_ADJUST => open.channel.add_room(reader.u32()?),
            message::CHANNEL_CLOSE => self.close(id),
            message::CHANNEL_REQUEST => return self.channel_request(id, reader),
            _ => {}
        }
        Ok(())
    }

    /// What runs on a channel ends and closes our half; a channel on which nothing runs is closed here.
    fn close(&mut self, id: u32) {
        if let Some(open) = self.channels.remove(&id) {
            let channel = open.channel;
            self.running.spawn(async move { channel.close().await });
        }
    }

    fn global_request(&mut self, mut reader: Reader<'_>) -> Result<(), Error> {
        let name = reader.string()?;
        let wants_reply = reader.bool()?;
        let is_forward =
            [&b"tcpip-forward"[..], b"streamlocal-forward@openssh.com"].contains(&name);
        if is_forward && !std::mem::replace(&mut self.is_told.ports, true) {
            self.server
                .host
                .tell("-R is not possible: nothing of fastvm listens in a VM; -L, -D and -W are");
        }
        if wants_reply {
            let refusal = Writer::message(message::REQUEST_FAILURE).done();
            self.outgoing.answer(refusal);
        }
        Ok(())
    }

    fn open(&mut self, mut reader: Reader<'_>) -> Result<(), Error> {
        let kind = String::from_utf8_lossy(reader.string()?);
        let (theirs, room, most_data) = (reader.u32()?, reader.u32()?, reader.u32()?);
        let refuse = |connection: &Self, reason: &str| {
            let refusal = Writer::message(message::CHANNEL_OPEN_FAILURE)
                .u32(theirs)
                .u32(message::PROHIBITED)
                .string(reason)
                .string("");
            connection.outgoing.answer(refusal.done());
        };
        if self.channels.len() >= MOST_CHANNELS {
            refuse(self, "too many channels are open");
            return Ok(());
        }
        let target = match kind.as_ref() {
            "session" => None,
            "direct-tcpip" => Some((reader.text()?.to_owned(), reader.u32()?)),
            "direct-streamlocal@openssh.com" => {
                refuse(
                    self,
                    "fastvm connects with ports of a VM, not with its sockets",
                );
                return Ok(());
            }
            _ => {
                refuse(self, "fastvm has no channels of this kind");
                return Ok(());
            }
        };
        let id = self.next_channel;
        self.next_channel = self.next_channel.wrapping_add(1);
        let confirmation = Writer::message(message::CHANNEL_OPEN_CONFIRMATION)
            .u32(theirs)
            .u32(id)
            .u32(WINDOW)
            .u32(MOST_DATA);
        self.outgoing.answer(confirmation.done());
        let channel = Channel::new(self.outgoing.clone(), theirs, room, most_data);
        let (data, from_data) = mpsc::unbounded_channel();
        let (requests, from_requests) = mpsc::unbounded_channel();
        let incoming = Incoming {
            data: Data::new(from_data, channel.clone()),
            requests: from_requests,
        };
        let waiting = match target {
            None => Some((Surroundings::default(), incoming)),
            Some(target) => {
                let server = self.server.clone();
                let passing = forward::run(server, target, channel.clone(), incoming);
                self.running.spawn(passing);
                None
            }
        };
        let open = Open {
            channel,
            data,
            requests,
            waiting,
        };
        self.channels.insert(id, open);
        Ok(())
    }

    fn channel_request(&mut self, id: u32, mut reader: Reader<'_>) -> Result<(), Error> {
        let name = String::from_utf8_lossy(reader.string()?);
        let wants_reply = reader.bool()?;
        let is_done = match name.as_ref() {
            "shell" => self.start(id, Program::Shell(String::new())),
            "exec" => match std::str::from_utf8(reader.string()?) {
                Ok(line) => self.start(id, Program::Shell(line.to_owned())),
                Err(_) => {
                    let host = &self.server.host;
                    host.tell("the command is not UTF-8, which the API cannot carry");
                    false
                }
            },
            "subsystem" if reader.text()? == "sftp" => self.start(id, Program::Sftp),
            "auth-agent-req@openssh.com" => {
                if !std::mem::replace(&mut self.is_told.agent, true) {
                    let host = &self.server.host;
                    host.tell("the agent is not forwarded: nothing of fastvm listens in a VM");
                }
                false
            }
            name => match self.channels.get_mut(&id) {
                Some(open) => open.request(name, reader)?,
                None => false,
            },
        };
        if let Some(open) = self.channels.get(&id)
            && wants_reply
        {
            open.channel.answer_request(is_done);
        }
        Ok(())
    }

    /// Starts what a session runs. False if it runs something already, or is none.
    fn start(&mut self, id: u32, program: Program) -> bool {
        let (Some(open), Some(user)) = (self.channels.get_mut(&id), &self.user) else {
            return false;
        };
        let Some((surroundings, incoming)) = open.waiting.take() else {
            return false;
        };
        let (server, channel) = (self.server.clone(), open.channel.clone());
        let running = session::run(
            server,
            user.clone(),
            surroundings,
            program,
            channel,
            incoming,
        );
        self.running.spawn(running);
        true
    }
}

impl Open {
    /// Takes a request that starts nothing. False if it is refused.
    fn request(&mut self, name: &str, mut reader: Reader<'_>) -> Result<bool, Error> {
        match (name, &mut self.waiting) {
            ("pty-req", Some((surroundings, _))) => {
                let term = reader.text()?;
                let (rows, columns) = size(&mut reader)?;
                let is_name = term.bytes().all(|byte| byte.is_ascii_graphic());
                if is_name && !term.is_empty() {
                    let variables = &mut surroundings.variables;
                    variables.insert("TERM".to_owned(), term.to_owned());
                }
                surroundings.terminal = Some(Terminal {
                    rows,
                    columns,
                    owner: None,
                });
                Ok(true)
            }
            ("env", Some((surroundings, _))) => {
                let (Ok(name), Ok(value)) = (reader.text(), reader.text()) else {
                    return Ok(false);
                };
                Ok(command::set(&mut surroundings.variables, name, value))
            }
            ("eow@openssh.com", None) => {
                self.channel.stop_taking();
                Ok(true)
            }
            ("window-change", None) => {
                let (rows, columns) = size(&mut reader)?;
                Ok(self
                    .requests
                    .send(Request::Resize { rows, columns })
                    .is_ok())
            }
            ("signal", None) => {
                let signal = session::signal(reader.text()?);
                Ok(signal.is_some_and(|name| self.requests.send(Request::Signal(name)).is_ok()))
            }
            _ => Ok(false),
        }
    }
}

/// Reads the rows and columns of a terminal.
fn size(reader: &mut Reader<'_>) -> Result<(u16, u16), Error> {
    let (columns, rows) = (reader.u32()?, reader.u32()?);
    let or = |size: u32, usual: u16| match u16::try_from(size) {
        Ok(0) | Err(_) => usual,
        Ok(size) => size,
    };
    Ok((or(rows, USUAL_SIZE.0), or(columns, USUAL_SIZE.1)))
}
