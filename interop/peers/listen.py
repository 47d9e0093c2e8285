"""Prints what comes, and ends after COUNT datagrams: listen.py [COUNT]"""

import socket
import sys

count = int(sys.argv[1]) if len(sys.argv) > 1 else 0

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", 0))
print("listening on %s:%d" % sock.getsockname(), flush=True)

received = 0
while count == 0 or received < count:
    data, sender = sock.recvfrom(65535)
    received += 1
    print(sender[0], len(data), data.decode(errors="replace"), flush=True)
