import os, socket, sys, threading

try:
    server = socket.create_connection((sys.argv[1], int(sys.argv[2])))
except OSError as error:
    sys.exit(error.strerror or str(error))
server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def send():
    try:
        while data := os.read(0, 1 << 16):
            server.sendall(data)
        server.shutdown(socket.SHUT_WR)
    except OSError:
        pass


sender = threading.Thread(target=send, daemon=True)
sender.start()
count = 0
try:
    while data := server.recv(1 << 16):
        count += len(data)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(1, rest) :]
except OSError as error:
    sys.exit(error.strerror or str(error))
os.write(2, b"end %d\n" % count)
sender.join()
