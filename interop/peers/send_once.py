"""Sends one datagram: send_once.py HOST PORT MESSAGE"""

import socket
import sys

host, port, message = sys.argv[1], int(sys.argv[2]), sys.argv[3]

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.sendto(message.encode(), (host, port))
print("sent", flush=True)
