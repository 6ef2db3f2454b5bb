//! Connections into a VM.

use std::net::TcpStream;
use std::sync::Arc;

use super::machines::Known;
use super::vm_lock::VmLocks;
use super::{Core, Error, firewall};

impl Core {
    /// Connects to a TCP port of a running VM, if its firewall admits this computer.
    pub(crate) fn dial(&self, id: &str, port: u16) -> Result<TcpStream, Error> {
        let machine = self.admitted(id, port)?.machine.clone();
        Ok(machine.dial(port)?.into())
    }

    /// Returns whether a port of a VM may be connected to: something may not listen there yet.
    pub(crate) fn check_dial(&self, id: &str, port: u16) -> Result<(), Error> {
        self.admitted(id, port).map(drop)
    }

    fn admitted(&self, id: &str, port: u16) -> Result<Arc<Known>, Error> {
        let held = self.hold(id, VmLocks::Shared)?;
        if !firewall::admits(&firewall::effective(&held.vm), port) {
            return Err(Error::Conflict(format!(
                "the firewall of vm {id} does not admit tcp port {port}"
            )));
        }
        self.machine(&held)
    }
}
