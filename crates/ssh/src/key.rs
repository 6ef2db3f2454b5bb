//! Ed25519 keys in the files that OpenSSH reads.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use crate::wire::{Reader, Writer};

/// The only algorithm of keys that there is here.
pub(crate) const ALGORITHM: &str = "ssh-ed25519";

const BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
const END: &str = "-----END OPENSSH PRIVATE KEY-----";
const MAGIC: &[u8] = b"openssh-key-v1\0";
/// How long a line of a key's file is.
const LINE: usize = 70;
/// Private parts are filled up to a multiple of this.
const BLOCK: usize = 8;

/// A private key.
pub struct KeyPair {
    seed: [u8; 32],
    pair: Ed25519KeyPair,
}

/// The public half of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

/// A text that is not a private key, or not one without a passphrase.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("not an ed25519 key of OpenSSH without a passphrase")]
pub struct NoKey;

impl KeyPair {
    /// Makes a key.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn generate() -> Result<Self, NoKey> {
        Self::of_seed(random()?)
    }

    fn of_seed(seed: [u8; 32]) -> Result<Self, NoKey> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| NoKey)?;
        Ok(Self { seed, pair })
    }

    /// Returns the key in the private key format of OpenSSH, without a passphrase.
    pub fn to_openssh(&self, comment: &str) -> String {
        let public = self.public();
        // It lets a wrong passphrase be noticed, and there is none.
        let check = 0;
        let mut private = Writer::default()
            .u32(check)
            .u32(check)
            .string(ALGORITHM)
            .string(public.0)
            .string([self.seed, public.0].concat())
            .string(comment);
        let length = private.clone().done().len();
        for fill in 1..=(BLOCK - length % BLOCK) % BLOCK {
            private = private.u8(u8::try_from(fill).unwrap_or_default());
        }
        let bytes = Writer::default()
            .raw(MAGIC)
            .string("none")
            .string("none")
            .string("")
            .u32(1)
            .string(public.blob())
            .string(private.done())
            .done();
        let text = STANDARD.encode(bytes);
        let mut file = format!("{BEGIN}\n");
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(LINE));
            file.push_str(line);
            file.push('\n');
            rest = after;
        }
        file.push_str(END);
        file.push('\n');
        file
    }

    /// Reads a key in the private key format of OpenSSH.
    ///
    /// # Errors
    /// [`NoKey`].
    pub fn from_openssh(text: &str) -> Result<Self, NoKey> {
        let inner = text.trim().strip_prefix(BEGIN).ok_or(NoKey)?;
        let inner = inner.strip_suffix(END).ok_or(NoKey)?;
        let inner: String = inner.split_whitespace().collect();
        let bytes = STANDARD.decode(inner).map_err(|_| NoKey)?;
        let seed = read_seed(&bytes).map_err(|_| NoKey)?.ok_or(NoKey)?;
        Self::of_seed(seed)
    }

    /// Returns the public half.
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.pair.public_key().as_ref());
        PublicKey(bytes)
    }

    /// Signs a message, in the form that messages carry.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        Writer::default()
            .string(ALGORITHM)
            .string(self.pair.sign(message))
            .done()
    }
}

impl PublicKey {
    /// Returns the key as lines of `known_hosts` and `authorized_keys` have it, without a comment.
    pub fn to_openssh(&self) -> String {
        format!("{ALGORITHM} {}", STANDARD.encode(self.blob()))
    }

    /// Returns the key as messages carry it.
    pub(crate) fn blob(&self) -> Vec<u8> {
        Writer::default().string(ALGORITHM).string(self.0).done()
    }

    /// Returns whether a signature, in the form that messages carry, is this key's.
    pub(crate) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let mut reader = Reader::new(signature);
        let (Ok(ALGORITHM), Ok(signature)) = (reader.text(), reader.string()) else {
            return false;
        };
        let key = UnparsedPublicKey::new(&ED25519, self.0);
        key.verify(message, signature).is_ok()
    }
}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyPair")
            .field("public", &self.public())
            .finish_non_exhaustive()
    }
}

/// Returns random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], NoKey> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NoKey)?;
    Ok(bytes)
}

fn read_seed(bytes: &[u8]) -> Result<Option<[u8; 32]>, crate::Error> {
    let mut reader = Reader::new(bytes);
    if reader.bytes(MAGIC.len())? != MAGIC || reader.text()? != "none" {
        return Ok(None);
    }
    let (_function, _options) = (reader.string()?, reader.string()?);
    if reader.u32()? != 1 {
        return Ok(None);
    }
    let _public = reader.string()?;
    let mut private = Reader::new(reader.string()?);
    let is_whole = private.u32()? == private.u32()?;
    if !is_whole || private.text()? != ALGORITHM {
        return Ok(None);
    }
    let _public = private.string()?;
    let key = private.string()?;
    Ok(key.get(..32).and_then(|seed| seed.try_into().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_again_and_signs_the_same() {
        let key = KeyPair::generate().unwrap();
        let read = KeyPair::from_openssh(&key.to_openssh("a comment")).unwrap();
        assert_eq!(read.public(), key.public());
        let signature = read.sign(b"message");
        assert!(key.public().has_signed(b"message", &signature));
        assert!(!key.public().has_signed(b"massage", &signature));
        let other = KeyPair::generate().unwrap().public();
        assert!(!other.has_signed(b"message", &signature));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let key = KeyPair::generate().unwrap().to_openssh("");
        let (half, _) = key.split_at(key.len() / 2);
        for text in [
            "",
            "ssh-ed25519 AAAA",
            half,
            &key.replace("none", "aes256-ctr"),
        ] {
            let _ = KeyPair::from_openssh(text);
        }
        assert!(KeyPair::from_openssh(half).is_err());
        assert!(KeyPair::from_openssh(&key.replacen("b3Bl", "AAAA", 1)).is_err());
    }
}
