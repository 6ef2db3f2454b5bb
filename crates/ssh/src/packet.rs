//! Packets on the byte stream (RFC 4253, section 6), in the clear at first and then with `chacha20-poly1305@openssh.com`.

use std::num::Wrapping;

use ring::aead::chacha20_poly1305_openssh::{
    KEY_LEN, OpeningKey, PACKET_LENGTH_LEN, SealingKey, TAG_LEN,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::Error;
use crate::key::random;

/// The longest packet that is taken, in bytes. The standard asks for 35,000 at least.
const MOST: usize = 256 * 1024;
/// Packets are filled up to a multiple of this.
const BLOCK: usize = 8;
/// How much fill there is at least.
const LEAST_FILL: usize = 4;
/// How much may be sealed before it is written, in bytes.
const BUFFER: usize = 64 * 1024;
/// The longest first line of a client, with its end.
const LONGEST_VERSION: usize = 255;

/// The bytes of a key for one direction.
pub(crate) type KeyBytes = [u8; KEY_LEN];

/// A key for one direction, and whether numbers of packets begin anew with it.
pub(crate) struct NewKey {
    pub(crate) bytes: KeyBytes,
    pub(crate) is_strict: bool,
}

/// Takes packets from the client.
pub(crate) struct PacketReader<R> {
    stream: R,
    key: Option<OpeningKey>,
    number: Wrapping<u32>,
}

impl<R: AsyncRead + Unpin> PacketReader<R> {
    pub(crate) fn new(stream: R) -> Self {
        Self {
            stream,
            key: None,
            number: Wrapping(0),
        }
    }

    /// Reads the client's first line, without its end.
    pub(crate) async fn version(&mut self) -> Result<Vec<u8>, Error> {
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            if line.len() == LONGEST_VERSION {
                return Err(Error::Client("speaks another protocol"));
            }
            line.push(self.stream.read_u8().await?);
        }
        while line.last().is_some_and(|byte| b"\r\n".contains(byte)) {
            line.pop();
        }
        match line.starts_with(b"SSH-2.0-") {
            true => Ok(line),
            false => Err(Error::Client("speaks another protocol")),
        }
    }

    pub(crate) fn set_key(&mut self, key: &NewKey) {
        self.key = Some(OpeningKey::new(&key.bytes));
        if key.is_strict {
            self.number = Wrapping(0);
        }
    }

    /// Reads a packet, and returns the message in it. `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let mut sealed_length = [0; PACKET_LENGTH_LEN];
        if self.stream.read(&mut sealed_length[..1]).await? == 0 {
            return Ok(None);
        }
        self.stream.read_exact(&mut sealed_length[1..]).await?;
        let number = self.number.0;
        self.number += 1;
        let length = match &self.key {
            Some(key) => key.decrypt_packet_length(number, sealed_length),
            None => sealed_length,
        };
        let length = u32::from_be_bytes(length) as usize;
        if !(1 + LEAST_FILL..=MOST).contains(&length) {
            return Err(Error::Client("sent a packet of a length that none has"));
        }
        let mut packet = sealed_length.to_vec();
        packet.resize(PACKET_LENGTH_LEN + length, 0);
        self.stream
            .read_exact(&mut packet[PACKET_LENGTH_LEN..])
            .await?;
        if let Some(key) = &self.key {
            let mut tag = [0; TAG_LEN];
            self.stream.read_exact(&mut tag).await?;
            key.open_in_place(number, &mut packet, &tag)
                .map_err(|_| Error::Client("sent a packet that was changed on its way"))?;
        }
        let fill = usize::from(packet[PACKET_LENGTH_LEN]);
        if fill + 1 >= length {
            return Err(Error::Client("sent a packet without a message"));
        }
        packet.truncate(PACKET_LENGTH_LEN + length - fill);
        packet.drain(..=PACKET_LENGTH_LEN);
        Ok(Some(packet))
    }
}

/// Brings packets to the client.
pub(crate) struct PacketWriter<W> {
    stream: W,
    key: Option<SealingKey>,
    number: Wrapping<u32>,
    buffer: Vec<u8>,
}

impl<W: AsyncWrite + Unpin> PacketWriter<W> {
    /// Begins with the first line of the server.
    pub(crate) fn new(stream: W, version: &str) -> Self {
        Self {
            stream,
            key: None,
            number: Wrapping(0),
            buffer: format!("{version}\r\n").into_bytes(),
        }
    }

    pub(crate) fn set_key(&mut self, key: &NewKey) {
        self.key = Some(SealingKey::new(&key.bytes));
        if key.is_strict {
            self.number = Wrapping(0);
        }
    }

    /// Puts a message into a packet, and writes it with others.
    pub(crate) async fn put(&mut self, message: &[u8]) -> Result<(), Error> {
        // The length counts only where it is not sealed apart.
        let counted = match self.key {
            Some(_) => 1 + message.len(),
            None => PACKET_LENGTH_LEN + 1 + message.len(),
        };
        let mut fill = BLOCK - counted % BLOCK;
        if fill < LEAST_FILL {
            fill += BLOCK;
        }
        let begin = self.buffer.len();
        let length = u32::try_from(1 + message.len() + fill).unwrap_or(u32::MAX);
        self.buffer.extend_from_slice(&length.to_be_bytes());
        self.buffer.push(u8::try_from(fill).unwrap_or_default());
        self.buffer.extend_from_slice(message);
        let random: [u8; BLOCK + LEAST_FILL] =
            random().map_err(|_| std::io::Error::other("the system has no random numbers"))?;
        self.buffer.extend_from_slice(&random[..fill]);
        if let Some(key) = &self.key {
            let mut tag = [0; TAG_LEN];
            key.seal_in_place(self.number.0, &mut self.buffer[begin..], &mut tag);
            self.buffer.extend_from_slice(&tag);
        }
        self.number += 1;
        match self.buffer.len() > BUFFER {
            true => self.flush().await,
            false => Ok(()),
        }
    }

    /// Writes all that was put.
    pub(crate) async fn flush(&mut self) -> Result<(), Error> {
        self.stream.write_all(&self.buffer).await?;
        self.buffer.clear();
        self.stream.flush().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn packets_arrive_as_they_were_sent_with_each_key() {
        let mut bytes = Vec::new();
        let mut writer = PacketWriter::new(&mut bytes, "SSH-2.0-test");
        let keys = [1, 2].map(|byte| NewKey {
            bytes: [byte; KEY_LEN],
            is_strict: byte == 1,
        });
        let message = |length: usize| vec![b'm'; length];
        writer.put(&message(1)).await.unwrap();
        for key in &keys {
            writer.set_key(key);
            for length in 1..40 {
                writer.put(&message(length)).await.unwrap();
            }
        }
        writer.flush().await.unwrap();
        let mut reader = PacketReader::new(bytes.as_slice());
        assert_eq!(reader.version().await.unwrap(), b"SSH-2.0-test");
        assert_eq!(reader.next().await.unwrap(), Some(message(1)));
        for key in &keys {
            reader.set_key(key);
            for length in 1..40 {
                assert_eq!(reader.next().await.unwrap(), Some(message(length)));
            }
        }
        assert_eq!(reader.next().await.unwrap(), None);

        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        let mut reader = PacketReader::new(bytes.as_slice());
        reader.version().await.unwrap();
        reader.next().await.unwrap();
        for key in &keys {
            reader.set_key(key);
            for length in 1..40 {
                let is_changed = key.bytes[0] == 2 && length == 39;
                assert_eq!(reader.next().await.is_err(), is_changed);
            }
        }
    }

    #[tokio::test]
    async fn what_is_no_packet_is_an_error() {
        for bytes in [
            &b"\0\0\0\x01\0"[..],
            b"\xff\xff\xff\xff",
            b"\0\0\0\x08\x07mmmmmmm",
            b"\0\0",
        ] {
            assert!(PacketReader::new(bytes).next().await.is_err(), "{bytes:?}");
        }
        for line in [&b"GET / HTTP/1.1\r\n"[..], &[b'a'; 300], b"SSH-2.0-cut"] {
            assert!(PacketReader::new(line).version().await.is_err(), "{line:?}");
        }
    }
}
