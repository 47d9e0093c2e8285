"""A relay that loses and delays datagrams, to try programs on a bad path.

As a module: ``with Lossy(("127.0.0.1", 12345), loss=0.05, delay=0.05) as address: ...``
"""

import heapq
import itertools
import random
import select
import socket
import threading
import time


class Lossy:
    """Relays between clients and one server; `delay` is one way, in seconds."""

    def __init__(self, server, loss=0.05, delay=0.05, seed=1):
        self._server, self._loss, self._delay = server, loss, delay
        self._chance, self._order = random.Random(seed), itertools.count()
        self._front = self._open()
        self._back, self._clients = {}, {}
        self._waiting, self._running = [], True
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _open(self):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        return sock

    def _run(self):
        while self._running:
            rest = self._waiting[0][0] - time.monotonic() if self._waiting else 0.05
            ready, _, _ = select.select([self._front, *self._clients], [], [], max(0, min(rest, 0.05)))
            for sock in ready:
                self._read(sock)
            while self._waiting and self._waiting[0][0] <= time.monotonic():
                _, _, sock, data, to = heapq.heappop(self._waiting)
                try:
                    sock.sendto(data, to)
                except OSError:
                    pass

    def _read(self, sock):
        while True:
            try:
                data, sender = sock.recvfrom(65_535)
            except OSError:
                return
            if sock is self._front:
                if sender not in self._back:
                    self._back[sender] = self._open()
                    self._clients[self._back[sender]] = sender
                out, to = self._back[sender], self._server
            else:
                out, to = self._front, self._clients[sock]
            if self._chance.random() >= self._loss:
                due = time.monotonic() + self._delay
                heapq.heappush(self._waiting, (due, next(self._order), out, data, to))

    def __enter__(self):
        self._thread.start()
        return self._front.getsockname()

    def __exit__(self, *_):
        self._running = False
        self._thread.join()
