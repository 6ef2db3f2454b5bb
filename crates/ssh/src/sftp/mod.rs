//! An SFTP server for VMs that have none: each operation on files is a command in the VM.

mod file;
mod guest;
mod protocol;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::time::timeout;

use crate::channel::{Channel, Data, Kind};
use crate::wire::{Reader, Writer};
use crate::{Error, Server};
use file::OpenFile;
pub(crate) use guest::{Found, find};
use guest::{Guest, GuestPath, Operation};
use protocol::{Attributes, Code, Failure};

/// The longest packet of a client, in bytes.
const LONGEST: usize = 256 * 1024;
/// The most that a packet reads or writes, in bytes: what OpenSSH chooses for packets of this length.
const MOST_DATA: usize = LONGEST - 1024;
/// How many files and folders may be open at once.
const MOST_HANDLES: usize = 256;
/// How many names an answer has.
const MOST_NAMES: usize = 100;
/// How long what was written may wait for more.
const IDLE: Duration = Duration::from_millis(100);
/// The permissions of what is made without any.
const NEW_FILE: u32 = 0o666;
const NEW_FOLDER: u32 = 0o777;
/// The bits of a mode that are permissions.
const PERMISSIONS: u32 = 0o7777;

/// Serves files until the client sends no more.
pub(crate) async fn serve(
    server: Arc<Server>,
    user: String,
    home: Vec<u8>,
    data: Data,
    channel: &Channel,
) -> Result<(), Error> {
    let mut session = Session {
        guest: Arc::new(Guest::new(server, user, home)),
        handles: HashMap::new(),
        next_handle: 0,
    };
    let mut packets = Packets {
        data,
        bytes: BytesMut::new(),
    };
    loop {
        let packet = match session.is_settled() {
            true => packets.next().await?,
            false => match timeout(IDLE, packets.next()).await {
                Ok(packet) => packet?,
                Err(_) => {
                    session.settle().await;
                    continue;
                }
            },
        };
        let Some(packet) = packet else {
            session.settle().await;
            return Ok(());
        };
        let answer = session.answer(&packet).await?.done();
        let framed = Writer::default().string(answer).done();
        channel.data(Kind::Output, framed.into()).await;
    }
}

/// The packets of a client.
struct Packets {
    data: Data,
    bytes: BytesMut,
}

impl Packets {
    /// Returns the next packet, or `None` at the end. Cancel-safe.
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if let Some(head) = self.bytes.first_chunk::<4>() {
                let length = u32::from_be_bytes(*head) as usize;
                if !(1..=LONGEST).contains(&length) {
                    return Err(Error::Client("sent a packet of SFTP that is too long"));
                }
                if self.bytes.len() >= 4 + length {
                    self.bytes.advance(4);
                    return Ok(Some(self.bytes.split_to(length).freeze()));
                }
            }
            match self.data.next().await {
                Some(bytes) => self.bytes.extend_from_slice(&bytes),
                None => return Ok(None),
            }
        }
    }
}

struct Session {
    guest: Arc<Guest>,
    handles: HashMap<u32, Handle>,
    next_handle: u32,
}

enum Handle {
    File(OpenFile),
    /// What is left of a list, last first.
    Folder(GuestPath, Vec<Name>),
}

/// A name of a list.
struct Name {
    name: Vec<u8>,
    /// As `ls -l` shows it.
    line: String,
    attributes: Attributes,
}

impl Session {
    fn is_settled(&self) -> bool {
        self.handles.values().all(|handle| match handle {
            Handle::File(file) => file.is_settled(),
            Handle::Folder(..) => true,
        })
    }

    /// Writes what waits. What fails is said when its file is used again.
    async fn settle(&mut self) {
        for handle in self.handles.values_mut() {
            if let Handle::File(file) = handle
                && let Err(failure) = file.settle(&self.guest).await
            {
                file.fail(failure);
            }
        }
    }

    /// Writes what other handles of a file have to write, before this one is used.
    async fn settle_others(&mut self, number: u32, path: &GuestPath, is_change: bool) {
        for (other, handle) in &mut self.handles {
            if *other != number
                && let Handle::File(file) = handle
                && file.path == *path
            {
                if let Err(failure) = file.settle(&self.guest).await {
                    file.fail(failure);
                }
                if is_change {
                    file.forget_pieces();
                }
            }
        }
    }

    /// Forgets what was read of all files, which may be others by now.
    fn forget_pieces(&mut self) {
        for handle in self.handles.values_mut() {
            if let Handle::File(file) = handle {
                file.forget_pieces();
            }
        }
    }

    /// Answers a packet.
    ///
    /// # Errors
    /// What has no number that an answer could have.
    async fn answer(&mut self, packet: &[u8]) -> Result<Writer, Error> {
        let mut reader = Reader::new(packet);
        let kind = reader.u8()?;
        let number = reader.u32()?;
        if kind == protocol::INIT {
            let answer = Writer::message(protocol::VERSION_ANSWER).u32(protocol::VERSION);
            let add = |writer: Writer, (name, version)| writer.string(name).string(version);
            return Ok(protocol::EXTENSIONS.into_iter().fold(answer, add));
        }
        let failed = |failure: Failure| Answer::Status {
            code: failure.code,
            message: failure.message,
        };
        let answer = self.operate(kind, reader).await.unwrap_or_else(failed);
        Ok(answer.write(number))
    }

    async fn operate(&mut self, kind: u8, mut reader: Reader<'_>) -> Result<Answer, Failure> {
        if let protocol::CLOSE | protocol::READ | protocol::WRITE | protocol::READDIR = kind {
            return self.use_handle(kind, reader).await;
        }
        // What follows may look at what was written.
        self.settle().await;
        match kind {
            protocol::OPEN => self.open(reader).await,
            protocol::OPENDIR => self.open_folder(reader).await,
            protocol::FSTAT => {
                let path = self.handle(&mut reader)?.1.path().clone();
                self.stat("stat", &path).await
            }
            protocol::FSETSTAT => {
                self.forget_pieces();
                let path = self.handle(&mut reader)?.1.path().clone();
                self.set(&path, reader).await
            }
            protocol::SYMLINK => {
                // The standard has them the other way round; clients and servers do as OpenSSH does.
                let (target, link) = (reader.string()?, self.path(&mut reader)?);
                let operation = Operation::new("symlink", &link).with_bytes(target);
                self.run(operation).await
            }
            protocol::EXTENDED => match reader.string()? {
                b"posix-rename@openssh.com" => self.operate_on_two("replace", reader).await,
                b"fsync@openssh.com" => {
                    let guest = self.guest.clone();
                    if let Handle::File(file) = self.handle(&mut reader)?.1 {
                        file.settle(&guest).await?;
                    }
                    Ok(Answer::DONE)
                }
                b"hardlink@openssh.com" => self.operate_on_two("link", reader).await,
                b"limits@openssh.com" => Ok(Answer::Limits),
                _ => Err(unsupported()),
            },
            protocol::RENAME => self.operate_on_two("rename", reader).await,
            _ => {
                let path = self.path(&mut reader)?;
                self.operate_on(kind, &path, reader).await
            }
        }
    }

    async fn operate_on(
        &mut self,
        kind: u8,
        path: &GuestPath,
        mut reader: Reader<'_>,
    ) -> Result<Answer, Failure> {
        match kind {
            protocol::STAT => self.stat("stat", path).await,
            protocol::LSTAT => self.stat("lstat", path).await,
            protocol::SETSTAT => {
                self.forget_pieces();
                self.set(path, reader).await
            }
            protocol::REALPATH => self.name("resolve", path).await,
            protocol::READLINK => self.name("readlink", path).await,
            protocol::REMOVE => self.run(Operation::new("remove", path)).await,
            protocol::RMDIR => self.run(Operation::new("rmdir", path)).await,
            protocol::MKDIR => {
                let mode = mode(&Attributes::read(&mut reader)?, NEW_FOLDER);
                self.run(Operation::new("mkdir", path).with(mode.to_string()))
                    .await
            }
            _ => Err(unsupported()),
        }
    }

    async fn use_handle(&mut self, kind: u8, mut reader: Reader<'_>) -> Result<Answer, Failure> {
        let guest = self.guest.clone();
        let (number, handle) = self.handle(&mut reader)?;
        let path = handle.path().clone();
        self.settle_others(number, &path, kind == protocol::WRITE)
            .await;
        let Some(handle) = self.handles.get_mut(&number) else {
            return Err(Failure::new(Code::Failure, "the handle is not open"));
        };
        match (kind, handle) {
            (protocol::CLOSE, Handle::File(file)) => {
                let settled = file.settle(&guest).await;
                self.handles.remove(&number);
                settled.map(|()| Answer::DONE)
            }
            (protocol::CLOSE, Handle::Folder(..)) => {
                self.handles.remove(&number);
                Ok(Answer::DONE)
            }
            (protocol::READ, Handle::File(file)) => {
                let (offset, length) = (reader.u64()?, reader.u32()?);
                let length = usize::try_from(length).unwrap_or(MOST_DATA).min(MOST_DATA);
                match file.read(&guest, offset, length).await? {
                    bytes if bytes.is_empty() => Ok(Answer::END),
                    bytes => Ok(Answer::Data(bytes)),
                }
            }
            (protocol::WRITE, Handle::File(file)) => {
                let (offset, bytes) = (reader.u64()?, reader.string()?);
                file.write(&guest, offset, bytes).await?;
                Ok(Answer::DONE)
            }
            (protocol::READDIR, Handle::Folder(_, names)) => {
                let begin = names.len().saturating_sub(MOST_NAMES);
                match names.split_off(begin) {
                    names if names.is_empty() => Ok(Answer::END),
                    names => Ok(Answer::Names(names)),
                }
            }
            _ => Err(Failure::new(Code::Failure, "the handle is of another kind")),
        }
    }

    async fn open(&mut self, mut reader: Reader<'_>) -> Result<Answer, Failure> {
        let path = self.path(&mut reader)?;
        let flags = reader.u32()?;
        let mode = mode(&Attributes::read(&mut reader)?, NEW_FILE);
        let letters = protocol::LETTERS
            .iter()
            .filter(|(flag, _)| flags & flag != 0);
        let letters: String = letters.map(|(_, letter)| letter).collect();
        let operation = Operation::new("open", &path)
            .with(letters)
            .with(mode.to_string());
        self.guest.run(&operation).await?;
        if flags & protocol::TRUNCATING != 0 {
            self.forget_pieces();
        }
        self.add(Handle::File(OpenFile::new(path, flags)))
    }

    async fn open_folder(&mut self, mut reader: Reader<'_>) -> Result<Answer, Failure> {
        let path = self.path(&mut reader)?;
        let list = self
            .guest
            .run(&Operation::repeatable("list", &path))
            .await?;
        let names = Name::read_list(&list)
            .ok_or_else(|| Failure::new(Code::Failure, "the VM lists what cannot be read"))?;
        self.add(Handle::Folder(path, names))
    }

    fn add(&mut self, handle: Handle) -> Result<Answer, Failure> {
        if self.handles.len() >= MOST_HANDLES {
            return Err(Failure::new(Code::Failure, "too many files are open"));
        }
        let number = self.next_handle;
        self.next_handle = self.next_handle.wrapping_add(1);
        self.handles.insert(number, handle);
        Ok(Answer::Handle(number))
    }

    fn handle(&mut self, reader: &mut Reader<'_>) -> Result<(u32, &mut Handle), Failure> {
        let unknown = || Failure::new(Code::Failure, "the handle is not open");
        let number = reader.string()?.try_into().map_err(|_| unknown())?;
        let number = u32::from_be_bytes(number);
        let handle = self.handles.get_mut(&number).ok_or_else(unknown)?;
        Ok((number, handle))
    }

    fn path(&self, reader: &mut Reader<'_>) -> Result<GuestPath, Failure> {
        self.guest.path(reader.string()?)
    }

    async fn run(&self, operation: Operation) -> Result<Answer, Failure> {
        self.guest.run(&operation).await.map(|_| Answer::DONE)
    }

    async fn operate_on_two(
        &mut self,
        name: &str,
        mut reader: Reader<'_>,
    ) -> Result<Answer, Failure> {
        let (from, to) = (self.path(&mut reader)?, self.path(&mut reader)?);
        let operation = Operation::new(name, &from).with_path(&to);
        let answer = self.run(operation).await?;
        if name != "link" {
            self.follow(&from, &to);
        }
        Ok(answer)
    }

    /// Has open files follow a path that was renamed.
    fn follow(&mut self, from: &GuestPath, to: &GuestPath) {
        self.forget_pieces();
        for handle in self.handles.values_mut() {
            if let Handle::File(file) = handle
                && let Some(path) = file.path.moved(from, to)
            {
                file.path = path;
            }
        }
    }

    async fn stat(&self, name: &str, path: &GuestPath) -> Result<Answer, Failure> {
        let line = self.guest.run(&Operation::repeatable(name, path)).await?;
        let attributes = Attributes::of_stat(&String::from_utf8_lossy(&line));
        let unreadable = || Failure::new(Code::Failure, "the VM does not say what the file is");
        attributes.map(Answer::Attributes).ok_or_else(unreadable)
    }

    async fn set(&self, path: &GuestPath, mut reader: Reader<'_>) -> Result<Answer, Failure> {
        let wanted = Attributes::read(&mut reader)?;
        let mut operation = Operation::repeatable("set", path);
        if let Some(size) = wanted.size {
            operation = operation.with(format!("size={size}"));
        }
        if let Some((user, group)) = wanted.owner {
            operation = operation.with(format!("owner={user}:{group}"));
        }
        if let Some(permissions) = wanted.permissions {
            let mode = permissions & PERMISSIONS;
            operation = operation.with(format!("mode={mode:o}"));
        }
        if let Some((accessed, modified)) = wanted.times {
            operation = operation
                .with(format!("atime={accessed}"))
                .with(format!("mtime={modified}"));
        }
        self.run(operation).await
    }

    /// Does what says a path.
    async fn name(&self, operation: &str, path: &GuestPath) -> Result<Answer, Failure> {
        let name = self
            .guest
            .run(&Operation::repeatable(operation, path))
            .await?;
        Ok(Answer::Names(vec![Name {
            line: String::from_utf8_lossy(&name).into_owned(),
            name,
            attributes: Attributes::default(),
        }]))
    }
}

impl Handle {
    fn path(&self) -> &GuestPath {
        match self {
            Self::File(file) => &file.path,
            Self::Folder(path, _) => path,
        }
    }
}

impl Name {
    /// Reads what `operations.sh` lists: for each file a line of `stat`, and its name between `./` and `/`.
    ///
    /// The result has the last first. `None` if it is something else.
    fn read_list(mut list: &[u8]) -> Option<Vec<Self>> {
        let find = |bytes: &[u8], wanted: &[u8]| {
            let mut windows = bytes.windows(wanted.len());
            windows.position(|window| window == wanted)
        };
        let mut names = Vec::new();
        while !list.is_empty() {
            let begin = find(list, b" ./")?;
            let (line, rest) = list.split_at(begin);
            let rest = &rest[3..];
            let end = find(rest, b"/\n")?;
            let line = std::str::from_utf8(line).ok()?;
            names.push(Self::read(line, &rest[..end])?);
            list = &rest[end + 2..];
        }
        names.reverse();
        Some(names)
    }

    fn read(line: &str, name: &[u8]) -> Option<Self> {
        let attributes = Attributes::of_stat(line)?;
        let mut words = line.split_ascii_whitespace().skip(6);
        let mut word = || words.next();
        let (mode, links, user, group) = (word()?, word()?, word()?, word()?);
        let (day, time) = (word()?, word()?.get(..5)?);
        let size = attributes.size?;
        let shown = String::from_utf8_lossy(name);
        let line = format!("{mode} {links:>4} {user:<8} {group:<8} {size:>8} {day} {time} {shown}");
        Some(Self {
            name: name.to_vec(),
            line,
            attributes,
        })
    }
}

/// What a client is answered.
enum Answer {
    Status { code: Code, message: String },
    Handle(u32),
    Data(Vec<u8>),
    Names(Vec<Name>),
    Attributes(Attributes),
    Limits,
}

impl Answer {
    const DONE: Self = Self::Status {
        code: Code::Ok,
        message: String::new(),
    };
    const END: Self = Self::Status {
        code: Code::End,
        message: String::new(),
    };

    fn write(self, number: u32) -> Writer {
        let answer = |kind| Writer::message(kind).u32(number);
        match self {
            Self::Status { code, message } => answer(protocol::STATUS)
                .u32(code as u32)
                .string(message)
                .string("en"),
            Self::Handle(handle) => answer(protocol::HANDLE).string(handle.to_be_bytes()),
            Self::Data(bytes) => answer(protocol::DATA).string(bytes),
            Self::Names(names) => {
                let count = u32::try_from(names.len()).unwrap_or(u32::MAX);
                let add = |writer: Writer, name: Name| {
                    let writer = writer.string(&name.name).string(&name.line);
                    name.attributes.write(writer)
                };
                let writer = answer(protocol::NAME).u32(count);
                names.into_iter().rev().fold(writer, add)
            }
            Self::Attributes(attributes) => attributes.write(answer(protocol::ATTRS)),
            Self::Limits => {
                let [longest, data, handles] =
                    [LONGEST, MOST_DATA, MOST_HANDLES].map(|limit| limit as u64);
                answer(protocol::EXTENDED_REPLY)
                    .u64(longest)
                    .u64(data)
                    .u64(data)
                    .u64(handles)
            }
        }
    }
}

fn unsupported() -> Failure {
    Failure::new(Code::Unsupported, "this server cannot do that")
}

/// The permissions of what is made.
fn mode(attributes: &Attributes, usual: u32) -> u32 {
    attributes.permissions.unwrap_or(usual) & PERMISSIONS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_names_of_any_bytes() {
        let stat = "81a4 8 0 0 1 2 -rw-r--r-- 1 root root 2026-11-30 15:46:30.711 +0000";
        let list = [
            stat.as_bytes(),
            b" ./a b\n ./\xff/\n",
            stat.as_bytes(),
            b" ./second/\n",
        ]
        .concat();
        let names = Name::read_list(&list).unwrap();
        assert_eq!(names[1].name, b"a b\n ./\xff");
        assert_eq!(names[0].name, b"second");
        assert_eq!(
            names[0].line,
            "-rw-r--r--    1 root     root            8 2026-11-30 15:46 second"
        );
        assert!(Name::read_list(b"").unwrap().is_empty());
        for odd in [&b"x"[..], b"x ./a/\n", b"81a4 8 0 0 1 2 ./a/\n"] {
            assert!(Name::read_list(odd).is_none());
        }
    }
}
