//! `fastvm local forward`

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

use tokio::net::TcpListener;

use crate::commands::shared::resolve_name::{self, Named};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::output::control::visible;
use crate::signal::Signals;
use fastvm_api::Client;
use fastvm_engine::{self as local, Forward};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm local forward dev 8000
  fastvm local forward dev 8000:9000")]
pub struct ForwardArgs {
    /// Id, exact name, or the first characters of an id (4 or more)
    vm: String,

    /// The port in the VM, and the one here if it is another
    #[arg(value_name = "PORT[:HERE]")]
    ports: Ports,
}

/// A port in the VM and one on this machine; 0 here takes a free one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ports {
    inside: u16,
    here: u16,
}

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (inside, here) = text.split_once(':').unwrap_or((text, text));
        let port = |text: &str| {
            text.parse::<u16>()
                .map_err(|_| format!("{text:?} is not a port (1 to 65535)"))
        };
        match port(inside)? {
            0 => Err("the port in the VM cannot be 0".to_owned()),
            inside => Ok(Self {
                inside,
                here: port(here)?,
            }),
        }
    }
}

pub(crate) async fn run(context: &mut Context, args: ForwardArgs) -> Result<Exit, Error> {
    let client: Client = context.local_client()?;
    let vm = resolve_name::vm(&client, &args.vm).await?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.ports.here));
    let failed = |error| {
        Error::new(
            Kind::LocalIo,
            format!("cannot listen on {address}: {error}"),
        )
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let here = listener.local_addr().map_err(failed)?;
    let mut signals = Signals::listen()?;
    let port = args.ports.inside;
    let forward = Forward::open(context.local_options()?, here, &vm.id, port).await;
    let forward = forward.map_err(|error| refused(error, &vm, port))?;
    context.ui.line(&format!(
        "forwarding {here} to port {} of {}",
        port,
        vm.label()
    ))?;
    let stop = async {
        signals.next().await;
    };
    forward.run(listener, stop).await;
    Ok(Exit::SUCCESS)
}

/// Says what to do about a firewall that does not let the port in.
fn refused(error: local::Error, vm: &Named, port: u16) -> Error {
    let is_shut =
        matches!(&error, local::Error::Refused(reason) if reason.contains("does not admit"));
    let error = Error::from(error);
    match is_shut {
        true => error.hint(format!(
            "let it in with `fastvm firewall allow {} tcp:{port} --local`",
            visible(vm.word())
        )),
        false => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_port_means_the_same_here() {
        assert_eq!(
            "80".parse(),
            Ok(Ports {
                inside: 80,
                here: 80
            })
        );
        assert_eq!(
            "80:9000".parse(),
            Ok(Ports {
                inside: 80,
                here: 9000
            })
        );
        for wrong in ["", "x", "0", "70000", "80:"] {
            assert!(wrong.parse::<Ports>().is_err(), "{wrong}");
        }
    }
}
