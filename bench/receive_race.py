#!/usr/bin/env python3
"""Who loses how much: a Python loop sends datagrams of 64 bytes as fast as it can to hikyaku, socat
and ncat in turn, each writing to a file. Prints how many arrived, the median of three rounds.

    cargo build --profile dist && python3 bench/receive_race.py
"""

import shutil
import socket
import statistics
import subprocess
import tempfile
import time

COUNT = 100_000
ROUNDS = 3


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_bound(port):
    for _ in range(500):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return
        time.sleep(0.01)
    raise SystemExit(f"nothing bound port {port}")


def arrived(command):
    port = free_port()
    words = [word.format(port=port) for word in command]
    with tempfile.TemporaryFile() as output:
        listener = subprocess.Popen(words, stdout=output, stderr=subprocess.DEVNULL)
        try:
            wait_until_bound(port)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.connect(("127.0.0.1", port))
                datagram = b"x" * 63 + b"\n"
                for _ in range(COUNT):
                    sender.send(datagram)
            time.sleep(1)  # for what is still on its way through the listener
        finally:
            listener.terminate()
            listener.wait()
        output.seek(0)
        return output.read().count(b"\n")


LISTENERS = {
    "hikyaku": ["target/dist/hikyaku", "listen", "--plain", "--format", "raw", "127.0.0.1:{port}"],
    "socat": ["socat", "-u", "UDP-RECV:{port},bind=127.0.0.1", "STDOUT"],
    "ncat": ["ncat", "-u", "-l", "127.0.0.1", "{port}"],
}

rounds = {name: [] for name in LISTENERS if shutil.which(LISTENERS[name][0])}
for _ in range(ROUNDS):
    for name in rounds:
        rounds[name].append(arrived(LISTENERS[name]))
for name, counts in rounds.items():
    print(f"{name:8} {statistics.median(counts):>7} of {COUNT} arrived")
