"""Audio, a game's state and questions over a path that loses 5 % and takes 50 ms each way.

    python lossy_classes.py
"""

import statistics
import threading
import time

import hikyaku
from lossy import Lossy


def stamped():
    return b"%d" % time.monotonic_ns()


def age(message):
    return (time.monotonic_ns() - int(message.data.split()[0])) / 1e6


def one_way(server, client, delivery, count, pause, channel):
    """Sends stamped messages at a pace; returns how old they were on arrival, in ms."""
    peer, ages = server, []

    def receive():
        while True:
            message = peer.recv()
            if message == b"end":
                return
            if message.channel == channel:
                ages.append(age(message))

    thread = threading.Thread(target=receive)
    thread.start()
    for _ in range(count):
        client.send(stamped(), delivery=delivery, channel=channel)
        time.sleep(pause)
    time.sleep(0.5)
    client.send(b"end")
    thread.join()
    return ages


def show(what, ages, sent):
    worst = statistics.quantiles(ages, n=100)[98]
    print(f"{what}: {len(ages)} of {sent}, median {statistics.median(ages):.0f} ms, p99 {worst:.0f} ms")


with hikyaku.listen("127.0.0.1:0") as listener, Lossy(listener.address) as address:
    with hikyaku.connect(address, trust=listener.fingerprint) as client:
        server = listener.accept()
        frames = one_way(server, client, hikyaku.DEADLINE(0.2), 150, 0.02, 1)
        show("audio frames, DEADLINE(0.2)", frames, 150)
        states = one_way(server, client, hikyaku.LATEST, 150, 0.016, 2)
        show("game states, LATEST", states, 150)

        def answer():
            for question in server:
                server.send(question, delivery=hikyaku.RELIABLE)

        threading.Thread(target=answer, daemon=True).start()
        trips = []
        for _ in range(60):
            client.send(stamped(), delivery=hikyaku.RELIABLE)
            trips.append(age(client.recv()))
        show("questions and answers, RELIABLE", trips, 60)
        client.abort()
