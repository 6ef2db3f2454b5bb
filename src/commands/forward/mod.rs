//! `fastvm forward`: ports of this machine that lead into a VM.

mod background;
mod list;
mod ports;
mod stop;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::{Args, Subcommand};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

use super::shared::resolve_name::{self, Named};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::output::Messages;
use crate::output::control::visible_lines;
use crate::signal::Signals;
use background::Background;
use fastvm_api::Client;
use fastvm_stream::TunnelError;
pub(crate) use list::FORWARDS;
use ports::Ports;

/// How many connections may be open at once.
const MOST_CONNECTIONS: usize = 256;
/// How long to wait before accepting again when the system refuses.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true,
    override_usage = "fastvm forward [OPTIONS] <VM> <[[ADDRESS:]HERE:][HOST:]PORT>...\n       fastvm forward list | stop",
    after_long_help = "\
A port of this machine leads to a port that something in the VM listens on, on its loopback too, or to one of a host that the VM reaches. Nothing is opened in the VM, and its firewall does not matter. Only this machine reaches the port, unless an ADDRESS says otherwise. A connection that breaks ends alone.

Examples:
  fastvm forward dev 5432
  fastvm forward dev 8080:80 9000
  fastvm forward dev 0:80                  a free port
  fastvm forward dev 5433:db.internal:5432
  fastvm forward -d dev 5432               in the background
  fastvm forward stop dev"
)]
pub struct ForwardArgs {
    /// Id, exact name, or the first characters of an id (4 or more)
    #[arg(required = true)]
    vm: Option<String>,

    /// The port in the VM; before it the port here, if it is another
    #[arg(value_name = "PORT", required = true)]
    ports: Vec<Ports>,

    /// Go on in the background once the ports are open
    #[arg(short, long)]
    detach: bool,

    /// What the process in the background is known by
    #[arg(long, hide = true, value_name = "ID")]
    background_id: Option<String>,

    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List the forwards in the background
    List(list::ListArgs),
    /// End forwards in the background
    Stop(stop::StopArgs),
}

pub(crate) async fn run(context: &mut Context, args: ForwardArgs) -> Result<Exit, Error> {
    match args.verb {
        Some(Verb::List(_)) => list::run(context),
        Some(Verb::Stop(args)) => stop::run(context, &args),
        None => {
            let client = context.client().await?;
            forward(context, client, args).await
        }
    }
}

/// As [`run`], to VMs of this machine whatever the context.
#[cfg(target_os = "linux")]
pub(crate) async fn run_locally(context: &mut Context, args: ForwardArgs) -> Result<Exit, Error> {
    match args.verb {
        Some(_) => run(context, args).await,
        None => {
            let client = context.local_client()?;
            forward(context, client, args).await
        }
    }
}

async fn forward(context: &mut Context, client: Client, args: ForwardArgs) -> Result<Exit, Error> {
    let name = args.vm.unwrap_or_default();
    let vm = resolve_name::vm(&client, &name).await?;
    vm.check_runs(&client).await?;
    if args.detach && args.background_id.is_none() {
        return background::start(context, &vm, args.ports.len());
    }
    let mut listeners = Vec::new();
    for ports in args.ports {
        listeners.push(Listener::bind(ports).await?);
    }
    let mut signals = Signals::listen()?;
    let background = match &args.background_id {
        Some(id) => Some(Background::claim(context, id, &vm, &listeners)?),
        None => None,
    };
    for listener in &listeners {
        let line = format!("{} -> {}:{}", listener.here, vm.word(), listener.ports);
        context.ui.line(&line)?;
    }
    let ending = async {
        match background {
            Some(background) => background.wait_for_stop().await,
            None => std::future::pending().await,
        }
    };
    let tunnels = Tunnels {
        client,
        vm,
        messages: context.ui.messages(),
        last: Mutex::default(),
        room: Semaphore::new(MOST_CONNECTIONS),
        gone: Notify::new(),
    };
    let tunnels = Arc::new(tunnels);
    tokio::select! {
        () = serve(listeners, tunnels.clone()) => Ok(Exit::SUCCESS),
        () = tunnels.gone.notified() => {
            let message = format!("VM {} was deleted", tunnels.vm.label());
            Err(Error::new(Kind::NotFound, message))
        }
        () = ending => Ok(Exit::SUCCESS),
        // The way to end it, so no failure.
        _ = signals.next() => Ok(Exit::SUCCESS),
    }
}

/// A port here.
struct Listener {
    socket: TcpListener,
    here: SocketAddr,
    ports: Ports,
}

impl Listener {
    async fn bind(ports: Ports) -> Result<Self, Error> {
        let failed = |error: std::io::Error| {
            let message = format!("cannot listen on {}: {error}", ports.here);
            let made = Error::new(Kind::LocalIo, message);
            match hint(error.kind(), &ports) {
                Some(hint) => made.hint(hint),
                None => made,
            }
        };
        let socket = TcpListener::bind(ports.here).await.map_err(failed)?;
        let here = socket.local_addr().map_err(failed)?;
        Ok(Self {
            socket,
            here,
            ports,
        })
    }
}

/// What to do when a port cannot be opened.
fn hint(kind: std::io::ErrorKind, ports: &Ports) -> Option<String> {
    use std::io::ErrorKind::{AddrInUse, AddrNotAvailable, PermissionDenied};
    let port = ports.here.port();
    let another = match kind {
        AddrInUse => port.wrapping_add(1).max(1024),
        // 80 becomes 8080.
        PermissionDenied if port < 1024 => port + 8000,
        AddrNotAvailable => {
            let address = ports.here.ip();
            return Some(format!("{address} is not an address of this machine"));
        }
        _ => return None,
    };
    Some(format!(
        "take another port with {another}:{ports}, or a free one with 0:{ports}"
    ))
}

/// What each connection needs.
struct Tunnels {
    client: Client,
    vm: Named,
    messages: Arc<Messages>,
    /// The last failure that was told.
    last: Mutex<String>,
    room: Semaphore,
    /// The VM was deleted.
    gone: Notify,
}

/// Passes connections on for ever.
async fn serve(listeners: Vec<Listener>, tunnels: Arc<Tunnels>) {
    let mut serving = JoinSet::new();
    for listener in listeners {
        serving.spawn(accept(listener, tunnels.clone()));
    }
    while serving.join_next().await.is_some() {}
}

async fn accept(listener: Listener, tunnels: Arc<Tunnels>) {
    let ports = Arc::new(listener.ports);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.socket.accept() => match accepted {
                Ok((connection, _)) => {
                    let (tunnels, ports) = (tunnels.clone(), ports.clone());
                    connections.spawn(async move { tunnels.pass_on(connection, &ports).await });
                }
                Err(_) => tokio::time::sleep(ACCEPT_RETRY_DELAY).await,
            },
        }
    }
}

impl Tunnels {
    async fn pass_on(&self, connection: TcpStream, ports: &Ports) {
        // It is closed with us, not before.
        let Ok(_place) = self.room.acquire().await else {
            return;
        };
        let far = (ports.host.as_str(), ports.port);
        let passed = fastvm_stream::tunnel(&self.client, &self.vm.id, far, connection).await;
        match passed {
            Ok(()) => self.tell(String::new()),
            Err(TunnelError::Stream(fastvm_stream::Error::Api(error))) if error.is_not_found() => {
                self.gone.notify_one();
            }
            // Whoever connected here knows.
            Err(TunnelError::Here(_)) => {}
            Err(error) => {
                let why = self.reason(error);
                self.tell(format!("{}:{ports}: {why}", self.vm.word()));
            }
        }
    }

    /// Why a connection failed, and what to do about it where that is known.
    fn reason(&self, error: TunnelError) -> String {
        let TunnelError::Stream(fastvm_stream::Error::Api(error)) = error else {
            return error.to_string();
        };
        let error = self.vm.explain(error);
        match error.hint_text() {
            Some(hint) => format!("{}; {hint}", error.message()),
            None => error.message().to_owned(),
        }
    }

    /// Says why connections fail, once for one reason.
    fn tell(&self, failure: String) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if *last != failure {
            if !failure.is_empty() {
                self.messages.warn(&visible_lines(&failure));
            }
            *last = failure;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn a_port_that_cannot_be_opened_comes_with_another() {
        let hinted = |kind, ports: &str| hint(kind, &ports.parse().unwrap());
        let take = |other: &str| {
            let rest = other.split_once(':').unwrap().1;
            Some(format!(
                "take another port with {other}, or a free one with 0:{rest}"
            ))
        };
        assert_eq!(hinted(ErrorKind::AddrInUse, "5432"), take("5433:5432"));
        assert_eq!(
            hinted(ErrorKind::AddrInUse, "65535:db:80"),
            take("1024:db:80")
        );
        assert_eq!(hinted(ErrorKind::PermissionDenied, "80"), take("8080:80"));
        assert_eq!(hinted(ErrorKind::PermissionDenied, "8080"), None);
    }
}
