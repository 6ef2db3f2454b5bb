//! Leads a client's way to the storage through a proxy: the signed URLs of one kind get the proxy's port in passing.
//!
//! Only one kind, as the VM, which gets the other, can reach nothing but the engine itself.

use std::net::{SocketAddr, TcpListener};

/// Replaces one text by another of the same length in a stream.
#[derive(Clone, Debug)]
pub(crate) struct Detour {
    from: Vec<u8>,
    to: Vec<u8>,
    /// What may be the beginning of the text.
    held: Vec<u8>,
}

impl Detour {
    /// For the URLs in `field`, which is `uploadUrl` or `downloadUrl`.
    pub(crate) fn new(field: &str, server: SocketAddr, proxy: SocketAddr) -> Self {
        let text = |address: SocketAddr| format!("\"{field}\":\"http://{address}/").into_bytes();
        let (from, to) = (text(server), text(proxy));
        assert_eq!(
            from.len(),
            to.len(),
            "a length that is announced stays right"
        );
        Self {
            from,
            to,
            held: Vec::new(),
        }
    }

    /// A listener on a port with as many digits as the server's.
    pub(crate) fn listener(server: SocketAddr) -> TcpListener {
        let digits = |port: u16| port.to_string().len();
        let mut others = Vec::new();
        loop {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            if digits(listener.local_addr().unwrap().port()) == digits(server.port()) {
                return listener;
            }
            others.push(listener);
        }
    }

    /// The bytes that may go on, with the text replaced.
    pub(crate) fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut all = std::mem::take(&mut self.held);
        all.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(found) = memchr::memmem::find(&all[at..], &self.from) {
            let start = at + found;
            at = start + self.from.len();
            all[start..at].copy_from_slice(&self.to);
        }
        let longest = (self.from.len() - 1).min(all.len() - at);
        let held = (1..=longest)
            .rev()
            .find(|&length| self.from.starts_with(&all[all.len() - length..]))
            .unwrap_or(0);
        self.held = all.split_off(all.len() - held);
        all
    }

    /// What is still held when the stream has ended.
    pub(crate) fn rest(&mut self) -> Option<Vec<u8>> {
        let held = std::mem::take(&mut self.held);
        (!held.is_empty()).then_some(held)
    }
}
