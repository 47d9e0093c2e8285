"""A chat client: a thread prints what comes, the main program sends what is typed.

chat_client.py HOST PORT HELLO    (HELLO is the first line sent, so that the server knows us)
"""

import socket
import sys
import threading

server = (sys.argv[1], int(sys.argv[2]))

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.sendto(sys.argv[3].encode(), server)
print("said hello", flush=True)


def receive():
    while True:
        data, _ = sock.recvfrom(65535)
        print(data.decode(errors="replace"), flush=True)


threading.Thread(target=receive, daemon=True).start()

for line in sys.stdin:
    line = line.rstrip("\n")
    if line == "q":
        break
    sock.sendto(line.encode(), server)
