//! Who the client is (RFC 4252): one key may log in, as any user.

use crate::Error;
use crate::key::{ALGORITHM, PublicKey};
use crate::message;
use crate::wire::{Reader, Writer};

/// How often a client may try.
const MOST_TRIES: usize = 20;

/// What the answer is to a message.
pub(crate) enum Answer {
    Message(Vec<u8>),
    /// The client is in, as this user.
    In(String),
}

/// A login that is going on.
pub(crate) struct Authentication {
    key: PublicKey,
    tries: usize,
}

impl Authentication {
    pub(crate) fn new(key: PublicKey) -> Self {
        Self { key, tries: 0 }
    }

    /// Answers a message of a client that is not in yet.
    pub(crate) fn take(&mut self, message: &[u8], session_id: &[u8]) -> Result<Answer, Error> {
        let mut reader = Reader::new(message);
        match reader.u8()? {
            message::SERVICE_REQUEST if reader.text()? == "ssh-userauth" => {
                let accept = Writer::message(message::SERVICE_ACCEPT).string("ssh-userauth");
                Ok(Answer::Message(accept.done()))
            }
            message::USERAUTH_REQUEST => self.request(reader, session_id),
            _ => Err(Error::NotLoggedIn),
        }
    }

    fn request(&mut self, mut reader: Reader<'_>, session_id: &[u8]) -> Result<Answer, Error> {
        self.tries += 1;
        if self.tries > MOST_TRIES {
            return Err(Error::NotLoggedIn);
        }
        let refusal = Writer::message(message::USERAUTH_FAILURE)
            .string("publickey")
            .u8(0);
        let (user, service, method) = (reader.text()?, reader.text()?, reader.text()?);
        if service != "ssh-connection" || method != "publickey" {
            return Ok(Answer::Message(refusal.done()));
        }
        let is_signed = reader.bool()?;
        let (algorithm, blob) = (reader.string()?, reader.string()?);
        if algorithm != ALGORITHM.as_bytes() || blob != self.key.blob() {
            return Ok(Answer::Message(refusal.done()));
        }
        if !is_signed {
            let go_on = Writer::message(message::USERAUTH_PK_OK)
                .string(algorithm)
                .string(blob);
            return Ok(Answer::Message(go_on.done()));
        }
        let signed = Writer::default()
            .string(session_id)
            .u8(message::USERAUTH_REQUEST)
            .string(user)
            .string(service)
            .string(method)
            .u8(1)
            .string(algorithm)
            .string(blob)
            .done();
        match self.key.has_signed(&signed, reader.string()?) {
            true => Ok(Answer::In(user.to_owned())),
            false => Ok(Answer::Message(refusal.done())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeyPair;

    const SESSION: &[u8] = b"the session";

    fn login(key: &KeyPair, session: &[u8], signer: &KeyPair) -> Vec<u8> {
        let request = Writer::message(message::USERAUTH_REQUEST)
            .string("root")
            .string("ssh-connection")
            .string("publickey")
            .u8(1)
            .string(ALGORITHM)
            .string(key.public().blob());
        let signed = Writer::default()
            .string(session)
            .raw(&request.clone().done())
            .done();
        request.string(signer.sign(&signed)).done()
    }

    #[test]
    fn one_key_is_let_in_and_only_with_its_signature_of_this_session() {
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut authentication = Authentication::new(key.public());
        let mut is_in = |request: &[u8]| {
            let answer = authentication.take(request, SESSION).unwrap();
            matches!(answer, Answer::In(user) if user == "root")
        };
        assert!(is_in(&login(&key, SESSION, &key)));
        assert!(!is_in(&login(&key, b"another session", &key)));
        assert!(!is_in(&login(&key, SESSION, &other)));
        assert!(!is_in(&login(&other, SESSION, &other)));
        let none = Writer::message(message::USERAUTH_REQUEST)
            .string("root")
            .string("ssh-connection")
            .string("none");
        assert!(!is_in(&none.done()));
    }

    #[test]
    fn what_is_asked_for_before_the_login_ends_the_connection() {
        let mut authentication = Authentication::new(KeyPair::generate().unwrap().public());
        let open = Writer::message(message::CHANNEL_OPEN)
            .string("session")
            .done();
        assert!(authentication.take(&open, SESSION).is_err());
        let guess = login(
            &KeyPair::generate().unwrap(),
            SESSION,
            &KeyPair::generate().unwrap(),
        );
        let tries = (0..100).take_while(|_| authentication.take(&guess, SESSION).is_ok());
        assert_eq!(tries.count(), MOST_TRIES);
    }
}
