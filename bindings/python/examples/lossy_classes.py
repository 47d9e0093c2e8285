"""Audio, a game's state and questions over a path that loses 5 % and takes 50 ms each way.

    python lossy_classes.py
"""

import statistics
import sys
import threading
import time

import hikyaku
from lossy import Lossy

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 150


def now():
    return time.monotonic_ns() // 1_000_000


def audio(peer):
    for _ in range(COUNT):  # 50 frames a second; late ones are of no use
        peer.send(f"{now()} frame", delivery=hikyaku.DEADLINE(0.2), channel=1)
        time.sleep(0.02)


def game(peer):
    for _ in range(COUNT):  # 60 positions a second; a newer one replaces one that waits
        peer.send(f"{now()} x=1 y=2", delivery=hikyaku.LATEST, channel=2)
        time.sleep(0.016)


def questions(peer):
    for _ in range(COUNT // 3):  # each is answered, whatever the network loses
        peer.send(f"{now()} who is it?", delivery=hikyaku.RELIABLE)
        yield peer.recv()


def age(message):
    return now() - int(message.text.split()[0])


def show(what, ages, sent):
    middle, worst = statistics.median(ages), statistics.quantiles(ages, n=100)[98]
    print(f"{what:32} {len(ages)} of {sent}, median {middle:.0f} ms, p99 {worst:.0f} ms")


def collect(channel, into):
    for message in channel:
        into.append(age(message))


def answer(peer):
    for question in peer:
        peer.send(question, delivery=hikyaku.RELIABLE)


with hikyaku.listen("127.0.0.1:0") as listener, Lossy(listener.address) as address:
    with hikyaku.connect(address, trust=listener.fingerprint) as client:
        server = listener.accept()
        frames, positions = [], []
        for receive in [(collect, server.channel(1), frames), (collect, server.channel(2), positions),
                        (answer, server)]:
            threading.Thread(target=receive[0], args=receive[1:], daemon=True).start()
        audio(client)
        game(client)
        trips = [age(message) for message in questions(client)]
        show("audio frames, DEADLINE(0.2)", frames, COUNT)
        show("a game's state, LATEST", positions, COUNT)
        show("question and answer, RELIABLE", trips, COUNT // 3)
