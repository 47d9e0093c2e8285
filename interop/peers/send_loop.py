"""Sends COUNT numbered datagrams of SIZE bytes, as fast as it can.

send_loop.py HOST PORT COUNT [SIZE]
"""

import socket
import sys

host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
size = int(sys.argv[4]) if len(sys.argv) > 4 else 64

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(count):
    sock.sendto(b"%d " % number + b"." * (size - len(b"%d " % number)), (host, port))
print("sent", count, flush=True)
