use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::lab::{Lab, read_line, shell};

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
fn a_server_inside_is_dialled_from_outside() {
    let lab = Lab::new();
    let guest = lab.boot();
    for (port, family, address) in [(8000, "AF_INET", "127.0.0.1"), (8001, "AF_INET6", "::1")] {
        let script = format!(
            "exec python3 -c \"import socket\ns=socket.socket(socket.{family})\ns.bind(('{address}',{port}))\ns.listen()\nprint('up',flush=True)\nc=s.accept()[0]\nc.send(c.recv(100).upper())\""
        );
        let mut process = guest.machine.exec(&shell(&script)).unwrap();
        assert_eq!(read_line(&process.stdout), "up");
        let mut stream = TcpStream::from(guest.machine.dial(port).unwrap());
        stream.write_all(b"hello").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "HELLO");
        process.wait().unwrap();
    }
}

#[test]
fn a_port_where_nobody_listens_refuses() {
    let lab = Lab::new();
    let guest = lab.boot();
    let error = guest.machine.dial(9).unwrap_err();
    assert_eq!(error.kind(), Some(ErrorKind::ConnectionRefused));
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
