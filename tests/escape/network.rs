//! What listens on the host or in another machine: ports of loopback, and sockets that have a name but
//! no file.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};
use std::time::Duration;

use fastvm_sandbox::Machine;

use crate::lab::Lab;
use crate::probe::{self, Findings, Report, attack_inside, attack_outside, hold_inside};

const CONNECT_TIME: Duration = Duration::from_millis(500);

/// Tries to reach listeners, inside if a machine is given.
fn reach(machine: Option<&Machine>, name: &str, port: &str) -> Findings {
    let address = address_of_host();
    let arguments = ["connect", name, port]
        .into_iter()
        .chain(address.as_deref());
    let arguments: Vec<&str> = arguments.collect();
    match machine {
        Some(machine) => attack_inside(machine, "network", &arguments),
        None => attack_outside("network", &arguments),
    }
}

/// The address that the host would use towards others, if it has a way to them.
fn address_of_host() -> Option<String> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    // This sends nothing, it only looks for a route.
    socket.connect(("192.0.2.1", 9)).ok()?;
    Some(socket.local_addr().unwrap().ip().to_string())
}

#[test]
fn listeners_of_the_host_are_out_of_reach() {
    let lab = Lab::new();
    let guest = probe::boot(&lab);
    let name = format!("fastvm-escape-{}", uuid::Uuid::new_v4());
    let address = UnixAddress::from_abstract_name(&name).unwrap();
    let _named = UnixListener::bind_addr(&address).unwrap();
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0));
    let listener = listener
        .or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)))
        .unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let outside = reach(None, &name, &port);
    assert!(outside.succeeded().contains(&"abstract"), "{outside:?}");
    assert!(outside.succeeded().contains(&"127.0.0.1"), "{outside:?}");
    if let Some(address) = &address_of_host() {
        assert!(
            outside.succeeded().contains(&address.as_str()),
            "{outside:?}"
        );
    }
    let inside = reach(Some(&guest.machine), &name, &port);
    assert_eq!(inside.succeeded(), Vec::<&str>::new(), "{inside:?}");
}

#[test]
fn listeners_of_another_machine_are_out_of_reach() {
    let lab = Lab::new();
    let (one, other) = (probe::boot(&lab), probe::boot(&lab));
    let listening = hold_inside(&other.machine, "network", &["listen", "name"]);
    let port = listening.findings.value("port").to_owned();
    let own = reach(Some(&other.machine), "name", &port);
    assert!(own.succeeded().contains(&"abstract"), "{own:?}");
    assert!(own.succeeded().contains(&"127.0.0.1"), "{own:?}");
    let inside = reach(Some(&one.machine), "name", &port);
    assert_eq!(inside.succeeded(), Vec::<&str>::new(), "{inside:?}");
    let outside = reach(None, "name", &port);
    assert!(!outside.succeeded().contains(&"abstract"), "{outside:?}");
    listening.release();
}

pub(crate) fn attack(report: &Report, arguments: &[String]) {
    let name = UnixAddress::from_abstract_name(&arguments[1]).unwrap();
    if arguments[0] == "listen" {
        let _named = UnixListener::bind_addr(&name).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        report.say("port", listener.local_addr().unwrap().port());
        report.hold();
        return;
    }
    let port = arguments[2].parse().unwrap();
    report.attempt("abstract", UnixStream::connect_addr(&name));
    let own = [
        "127.0.0.1",
        "127.0.0.2",
        "0.0.0.0",
        "::1",
        "::",
        "::ffff:127.0.0.1",
    ];
    for address in own
        .into_iter()
        .chain(arguments[3..].iter().map(String::as_str))
    {
        let to = SocketAddr::new(address.parse().unwrap(), port);
        report.attempt(address, TcpStream::connect_timeout(&to, CONNECT_TIME));
    }
}
