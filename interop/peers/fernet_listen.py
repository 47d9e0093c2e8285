"""Prints decrypted datagrams not older than TTL seconds: fernet_listen.py KEYFILE [TTL]"""

import socket
import sys

from cryptography.fernet import Fernet, InvalidToken

with open(sys.argv[1], "rb") as file:
    fernet = Fernet(file.read().strip())
ttl = int(sys.argv[2]) if len(sys.argv) > 2 else None

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", 0))
print("listening on %s:%d" % sock.getsockname(), flush=True)

while True:
    token, sender = sock.recvfrom(65535)
    try:
        print("decrypted:", fernet.decrypt(token, ttl=ttl).decode(), flush=True)
    except InvalidToken:
        print("invalid token", flush=True)
