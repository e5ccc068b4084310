"""A small HTTP server that knows nothing of graceport.

serve.py CONFIG, a JSON file that is read at the start:
  address, port   where to listen
  sockets         how many times (1)
  health          a second port (none)
  reuse           set SO_REUSEPORT (true)
  fail            end with this status instead of listening (0)
  notify          send READY=1 to NOTIFY_SOCKET (false)
  closing         seconds from one close of a listening socket to the next (0)

TERM and QUIT close the listening sockets; what was accepted is served to its
end.
"""
import json
import os
import selectors
import signal
import socket
import sys
import time

with open(sys.argv[1]) as file:
    config = json.load(file)
if config.get("fail"):
    sys.exit(config["fail"])

selector = selectors.DefaultSelector()
listeners, connections = [], set()


def listen(port):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if config.get("reuse", True):
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.bind((config["address"], port))
    s.listen(1024)
    s.setblocking(False)
    selector.register(s, selectors.EVENT_READ, accept)
    listeners.append(s)


def accept(s):
    try:
        connection, _ = s.accept()
    except BlockingIOError:
        return
    connections.add(connection)
    selector.register(connection, selectors.EVENT_READ, answer)


def answer(connection):
    try:
        if connection.recv(4096):
            body = f"{os.getpid()}\n"
            connection.sendall(
                f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
    except OSError:
        pass
    selector.unregister(connection)
    connections.discard(connection)
    connection.close()


def stop():
    while listeners:
        s = listeners.pop()
        selector.unregister(s)
        s.close()
        time.sleep(config.get("closing", 0))


stopping = False


def on_signal(*_):
    global stopping
    stopping = True


wake, woken = socket.socketpair()
wake.setblocking(False)
woken.setblocking(False)
selector.register(woken, selectors.EVENT_READ, lambda s: s.recv(64))
signal.set_wakeup_fd(wake.fileno())
signal.signal(signal.SIGTERM, on_signal)
signal.signal(signal.SIGQUIT, on_signal)

for _ in range(config.get("sockets", 1)):
    listen(config["port"])
if config.get("health"):
    listen(config["health"])
if config.get("notify"):
    name = os.environ["NOTIFY_SOCKET"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.sendto(b"READY=1", "\0" + name[1:] if name[0] == "@" else name)
while not (stopping and not connections):
    for key, _ in selector.select():
        if key.fileobj.fileno() >= 0:
            key.data(key.fileobj)
    if stopping:
        stop()
