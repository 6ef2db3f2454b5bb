//! Makes a port of a VM one of this computer.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinSet, spawn_blocking};

use super::engine::Core;
use super::{Error, Options};

/// How long to wait before accepting again when the system refuses.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// A TCP port of a VM that can be reached from here.
#[derive(Debug)]
pub struct Forward {
    core: Arc<Core>,
    vm: String,
    port: u16,
}

impl Forward {
    /// Opens the way to a port. The VM must run and its firewall admit the port when this begins.
    pub async fn open(
        options: Options,
        address: SocketAddr,
        vm: &str,
        port: u16,
    ) -> Result<Self, Error> {
        let core = open(options, address, vm.to_owned(), port).await?;
        let vm = vm.to_owned();
        Ok(Self { core, vm, port })
    }

    /// Passes on what connects to `listener`, until `stop` is done; then ends the connections. A connection that the VM
    /// does not take is closed.
    pub async fn run(self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let Self { core, vm, port } = self;
        let mut connections = JoinSet::new();
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => return,
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((outside, _)) => drop(connections.spawn(pass(core.clone(), vm.clone(), port, outside))),
                    Err(_) => tokio::time::sleep(ACCEPT_RETRY_DELAY).await,
                },
            }
        }
    }
}

/// Opens the data folder, and tries the VM once so that a mistake is told at once. A port where nothing listens yet
/// is none.
async fn open(
    options: Options,
    address: SocketAddr,
    vm: String,
    port: u16,
) -> Result<Arc<Core>, Error> {
    let work = move || {
        let core = Core::open(options, address)?;
        core.check_dial(&vm, port)?;
        Ok(core)
    };
    spawn_blocking(work)
        .await
        .map_err(|panic| Error::System(panic.into()))?
}

async fn pass(core: Arc<Core>, vm: String, port: u16, mut outside: TcpStream) -> io::Result<()> {
    let inside = spawn_blocking(move || core.dial(&vm, port))
        .await?
        .map_err(io::Error::other)?;
    inside.set_nonblocking(true)?;
    let mut inside = TcpStream::from_std(inside)?;
    inside.set_nodelay(true)?;
    outside.set_nodelay(true)?;
    copy_bidirectional(&mut outside, &mut inside).await?;
    Ok(())
}
