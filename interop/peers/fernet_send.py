"""Sends one encrypted datagram, made AGE seconds ago.

fernet_send.py KEYFILE HOST PORT MESSAGE [AGE]
"""

import socket
import sys
import time

from cryptography.fernet import Fernet

key_file, host, port, message = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
age = int(sys.argv[5]) if len(sys.argv) > 5 else 0

with open(key_file, "rb") as file:
    fernet = Fernet(file.read().strip())
token = fernet.encrypt_at_time(message.encode(), int(time.time()) - age)

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.sendto(token, (host, port))
print("sent", flush=True)
