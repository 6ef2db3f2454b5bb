//! New keys: at the beginning, and whenever the client asks (RFC 4253, sections 7 and 8; RFC 8731).

use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use ring::digest::{Context, SHA256};
use ring::rand::SystemRandom;

use crate::Error;
use crate::key::{self, KeyPair, random};
use crate::message;
use crate::packet::{KeyBytes, NewKey};
use crate::wire::{Reader, Writer};

/// Both names of one method.
const METHODS: [&str; 2] = ["curve25519-sha256", "curve25519-sha256@libssh.org"];
/// Numbers of packets begin anew with each key, so that nobody can take packets away unnoticed.
const STRICT: (&str, &str) = (
    "kex-strict-c-v00@openssh.com",
    "kex-strict-s-v00@openssh.com",
);
const CIPHER: &str = "chacha20-poly1305@openssh.com";
/// The cipher has its own, but a list must not be empty.
const MAC: &str = "hmac-sha2-256";
const COMPRESSION: &str = "none";

/// What comes of a step.
pub(crate) struct Step {
    /// Messages to send, in order.
    pub(crate) messages: Vec<Vec<u8>>,
    /// The key for what is sent after them.
    pub(crate) sealing: Option<NewKey>,
    /// The key for what the client sends next.
    pub(crate) opening: Option<NewKey>,
}

/// The state of the keys of a connection.
pub(crate) struct KeyExchange {
    versions: (Vec<u8>, Vec<u8>),
    session_id: Option<Vec<u8>>,
    is_strict: bool,
    /// Our proposal, from when it is sent until it is used.
    ours: Option<Vec<u8>>,
    theirs: Option<Vec<u8>>,
    /// The client has sent a message for a method that it guessed wrongly.
    skips_next: bool,
    /// The key for what comes after the client's `NEWKEYS`.
    opening: Option<NewKey>,
}

impl KeyExchange {
    /// Begins, with the first lines of the client and of the server.
    pub(crate) fn new(client: Vec<u8>, server: &str) -> Self {
        Self {
            versions: (client, server.as_bytes().to_vec()),
            session_id: None,
            is_strict: false,
            ours: None,
            theirs: None,
            skips_next: false,
            opening: None,
        }
    }

    /// Returns what the first exchange has agreed on, once it is over.
    pub(crate) fn session_id(&self) -> Option<&[u8]> {
        let is_over = self.opening.is_none();
        self.session_id.as_deref().filter(|_| is_over)
    }

    /// Returns the message that proposes how to exchange keys, as it is to be sent.
    pub(crate) fn propose(&mut self) -> Result<Vec<u8>, Error> {
        let cookie: [u8; 16] = random().map_err(|_| no_random())?;
        let mut methods = METHODS.join(",");
        if self.session_id.is_none() {
            methods = format!("{methods},{}", STRICT.1);
        }
        let mut message = Writer::message(message::KEXINIT)
            .raw(&cookie)
            .string(methods)
            .string(key::ALGORITHM);
        for list in [CIPHER, CIPHER, MAC, MAC, COMPRESSION, COMPRESSION, "", ""] {
            message = message.string(list);
        }
        let message = message.u8(0).u32(0).done();
        self.ours = Some(message.clone());
        Ok(message)
    }

    /// Takes a message that is about keys.
    pub(crate) fn take(&mut self, message: &[u8], host_key: &KeyPair) -> Result<Step, Error> {
        let mut step = Step {
            messages: Vec::new(),
            sealing: None,
            opening: None,
        };
        match message.first() {
            Some(&message::KEXINIT) if self.theirs.is_none() && self.opening.is_none() => {
                self.compare(message)?;
                self.theirs = Some(message.to_vec());
                if self.ours.is_none() {
                    step.messages.push(self.propose()?);
                }
            }
            Some(&message::KEX_ECDH_INIT) if self.skips_next => self.skips_next = false,
            Some(&message::KEX_ECDH_INIT) => {
                let (reply, sealing) = self.agree(message, host_key)?;
                let new_keys = Writer::message(message::NEWKEYS).done();
                step.messages.extend([reply, new_keys]);
                step.sealing = Some(sealing);
            }
            Some(&message::NEWKEYS) if self.opening.is_some() => {
                step.opening = self.opening.take();
            }
            _ => return Err(Error::Client("exchanges keys out of turn")),
        }
        Ok(step)
    }

    /// Returns whether only messages about keys may come.
    pub(crate) fn is_exclusive(&self) -> bool {
        self.session_id().is_none() && self.is_strict
    }

    /// Fails if the client has nothing in common with this server.
    fn compare(&mut self, message: &[u8]) -> Result<(), Error> {
        let mut reader = Reader::new(message);
        reader.bytes(1 + 16)?;
        let methods = reader.names()?;
        let host_keys = reader.names()?;
        let is_in_common = methods.iter().any(|name| METHODS.contains(name))
            && host_keys.contains(&key::ALGORITHM);
        let mut has_all = is_in_common;
        for wanted in [CIPHER, CIPHER] {
            has_all &= reader.names()?.contains(&wanted);
        }
        let _macs = (reader.names()?, reader.names()?);
        for wanted in [COMPRESSION, COMPRESSION] {
            has_all &= reader.names()?.contains(&wanted);
        }
        if !has_all {
            return Err(Error::Client(
                "is too old or too restricted: it needs curve25519-sha256, ssh-ed25519 and chacha20-poly1305@openssh.com",
            ));
        }
        if self.session_id.is_none() {
            self.is_strict = methods.contains(&STRICT.0);
        }
        let _languages = (reader.string()?, reader.string()?);
        let has_guessed = reader.bool()?;
        let is_right =
            methods.first() == METHODS.first() && host_keys.first() == Some(&key::ALGORITHM);
        self.skips_next = has_guessed && !is_right;
        Ok(())
    }

    /// Answers the client's half of the secret, and returns the answer and the key for what is sent after it.
    fn agree(&mut self, message: &[u8], host_key: &KeyPair) -> Result<(Vec<u8>, NewKey), Error> {
        let (Some(ours), Some(theirs)) = (self.ours.take(), self.theirs.take()) else {
            return Err(Error::Client("exchanges keys out of turn"));
        };
        let mut reader = Reader::new(message);
        reader.u8()?;
        let their_half = reader.string()?;
        let private = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new())
            .map_err(|_| no_random())?;
        let our_half = private.compute_public_key().map_err(|_| no_random())?;
        let host_key_blob = host_key.public().blob();
        let agreed = agree_ephemeral(
            private,
            &UnparsedPublicKey::new(&X25519, their_half),
            |secret| Writer::default().mpint(secret).done(),
        );
        let secret = agreed.map_err(|_| Error::Client("sent half a secret that is none"))?;
        let hashed = Writer::default()
            .string(&self.versions.0)
            .string(&self.versions.1)
            .string(theirs)
            .string(ours)
            .string(&host_key_blob)
            .string(their_half)
            .string(our_half.as_ref())
            .raw(&secret)
            .done();
        let hash = sha256(&[&hashed]);
        let session_id = self.session_id.get_or_insert_with(|| hash.clone());
        let key = |letter: u8| NewKey {
            bytes: derive(&secret, &hash, letter, session_id),
            is_strict: self.is_strict,
        };
        self.opening = Some(key(b'C'));
        let reply = Writer::message(message::KEX_ECDH_REPLY)
            .string(host_key_blob)
            .string(our_half.as_ref())
            .string(host_key.sign(&hash))
            .done();
        Ok((reply, key(b'D')))
    }
}

/// Makes a key of the secret (RFC 4253, section 7.2).
fn derive(secret: &[u8], hash: &[u8], letter: u8, session_id: &[u8]) -> KeyBytes {
    let first = sha256(&[secret, hash, &[letter], session_id]);
    let second = sha256(&[secret, hash, &first]);
    let mut bytes: KeyBytes = [0; 64];
    bytes[..first.len()].copy_from_slice(&first);
    bytes[first.len()..].copy_from_slice(&second);
    bytes
}

fn sha256(parts: &[&[u8]]) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    context.finish().as_ref().to_vec()
}

fn no_random() -> Error {
    std::io::Error::other("the system has no random numbers").into()
}
