"""Sends a message again and again until ACK comes back.

send_until_ack.py HOST PORT MESSAGE
"""

import socket
import sys

host, port, message = sys.argv[1], int(sys.argv[2]), sys.argv[3]

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(0.2)

for attempt in range(1, 101):
    sock.sendto(message.encode(), (host, port))
    try:
        data, server = sock.recvfrom(1024)
    except socket.timeout:
        print("no answer, sending again", flush=True)
        continue
    if data == b"ACK":
        print("acknowledged after", attempt, "tries", flush=True)
        sys.exit(0)
    print("unexpected answer:", data, flush=True)

print("gave up", flush=True)
sys.exit(1)
