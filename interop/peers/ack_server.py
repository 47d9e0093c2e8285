"""Answers ACK to each datagram, but stays silent for the first IGNORED ones.

ack_server.py [IGNORED]
"""

import socket
import sys

ignored = int(sys.argv[1]) if len(sys.argv) > 1 else 0

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", 0))
print("listening on %s:%d" % sock.getsockname(), flush=True)

while True:
    data, client = sock.recvfrom(65535)
    print("received", data.decode(errors="replace"), flush=True)
    if ignored > 0:
        ignored -= 1
    else:
        sock.sendto(b"ACK", client)
