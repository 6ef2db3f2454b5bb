use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::lab::Lab;

#[test]
fn a_listener_inside_is_served_from_outside() {
    let lab = Lab::new();
    let guest = lab.boot();
    let listener = TcpListener::from(guest.machine.listen(8123).unwrap());
    let server = std::thread::spawn(move || {
        let (mut caller, _) = listener.accept().unwrap();
        let mut request = [0; 4];
        caller.read_exact(&mut request).unwrap();
        caller
            .write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello")
            .unwrap();
        request
    });
    assert_eq!(guest.says("curl -s http://127.0.0.1:8123/"), "hello");
    assert_eq!(&server.join().unwrap(), b"GET ");
    // Nothing of it is left inside, so the port is free again.
    drop(guest.machine.listen(8123).unwrap());
    assert!(TcpStream::connect("127.0.0.1:8123").is_err());
}

#[test]
fn a_port_that_is_taken_is_refused() {
    let lab = Lab::new();
    let guest = lab.boot();
    let first = guest.machine.listen(0).unwrap();
    let port = TcpListener::from(first.try_clone().unwrap())
        .local_addr()
        .unwrap()
        .port();
    assert_eq!(
        guest.machine.listen(port).unwrap_err().kind(),
        Some(ErrorKind::AddrInUse)
    );
}
