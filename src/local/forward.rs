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
const BREATH: Duration = Duration::from_millis(50);

/// Passes what connects to `listener` on to a TCP port of a VM, until `stop` is done; then ends the connections.
///
/// The VM must run and its firewall admit the port when this begins. A connection that the VM does not take is closed.
pub async fn forward(
    options: Options,
    vm: &str,
    port: u16,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> Result<(), Error> {
    let address = listener.local_addr().map_err(Error::System)?;
    let core = open(options, address, vm.to_owned(), port).await?;
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return Ok(()),
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((outside, _)) => drop(connections.spawn(pass(core.clone(), vm.to_owned(), port, outside))),
                Err(_) => tokio::time::sleep(BREATH).await,
            },
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
