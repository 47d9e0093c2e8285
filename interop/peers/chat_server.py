"""A chat server: whatever one client sends goes to all the others."""

import socket

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", 0))
print("listening on %s:%d" % sock.getsockname(), flush=True)

clients = set()
while True:
    data, sender = sock.recvfrom(65535)
    clients.add(sender)
    print(len(clients), "clients:", data.decode(errors="replace"), flush=True)
    for client in clients:
        if client != sender:
            sock.sendto(data, client)
