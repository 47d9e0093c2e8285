"""Speed beside `socket`, asyncio's datagrams and pyzmq, in one run on loopback.

    python bindings/python/bench/bench.py [--seconds S]

Each line is measured between two processes. Ratios in one run mean something on a shared machine;
the figures alone do not.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import socket
import tempfile
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("XDG_CONFIG_HOME", tempfile.mkdtemp(prefix="hikyaku-bench-"))

import hikyaku  # noqa: E402
import hikyaku.aio  # noqa: E402

SMALL = b"x" * 64
LARGE = b"x" * 65_536


def counted(
    pipe: Any, payload: bytes, many: bool, count: int
) -> None:
    """Serves one connection, and reports when `count` messages have come."""
    with hikyaku.listen("127.0.0.1:0") as server:
        pipe.send((server.address, server.fingerprint))
        peer = server.accept()
        got = 0
        while got < count:
            got += len(peer.recv_many(4_096)) if many else (peer.recv(), 1)[1]
        peer.send("all").acknowledged(timeout=10)
        try:
            peer.recv()
        except hikyaku.Closed:
            pass


def throughput(payload: bytes, many: bool, count: int) -> float:
    """Messages per second from one process to another."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=counted, args=(theirs, payload, many, count))
    server.start()
    address, fingerprint = ours.recv()
    client = hikyaku.connect(address, trust=fingerprint)
    began = time.perf_counter()
    if many:
        batch = [payload] * 1_000
        for _ in range(count // 1_000):
            client.send_many(batch)
    else:
        for _ in range(count):
            client.send(payload)
    client.recv()
    took = time.perf_counter() - began
    client.close()
    server.join()
    return count / took


def raw_sink(pipe: Any, count: int) -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(0.5)
    pipe.send(sock.getsockname())
    got, began, last = 0, None, 0.0
    while True:
        try:
            sock.recvfrom(65_535)
        except TimeoutError:
            if began is not None:
                break
            continue
        last = time.perf_counter()
        began = began or last
        got += 1
    pipe.send(got / (last - began))


def raw(payload: bytes, count: int) -> float:
    """Datagrams per second that arrive by `sendto`, unreliably."""
    ours, theirs = multiprocessing.Pipe()
    sink = multiprocessing.Process(target=raw_sink, args=(theirs, count))
    sink.start()
    address = ours.recv()
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for _ in range(count):
        sock.sendto(payload, address)
    rate: float = ours.recv()
    sink.join()
    return rate


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.transport.sendto(data, address)


def asyncio_echo(pipe: Any) -> None:
    async def serve() -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(Echo, ("127.0.0.1", 0))
        pipe.send(transport.get_extra_info("sockname"))
        await loop.run_in_executor(None, pipe.recv)

    asyncio.run(serve())


def asyncio_round_trips(seconds: float) -> float:
    """Microseconds per round trip of asyncio's datagram endpoints."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=asyncio_echo, args=(theirs,))
    server.start()
    address = ours.recv()

    class Client(asyncio.DatagramProtocol):
        def __init__(self) -> None:
            self.waiter: asyncio.Future[None] | None = None

        def datagram_received(self, data: bytes, address: Any) -> None:
            if self.waiter is not None:
                self.waiter.set_result(None)

    async def run() -> float:
        loop = asyncio.get_running_loop()
        transport, client = await loop.create_datagram_endpoint(Client, remote_addr=address)
        count, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            client.waiter = loop.create_future()
            transport.sendto(SMALL)
            await client.waiter
            count += 1
        return (time.perf_counter() - began) / count * 1e6

    result = asyncio.run(run())
    ours.send("stop")
    server.join()
    return result


def aio_echo(pipe: Any) -> None:
    async def serve() -> None:
        async with hikyaku.aio.listen("127.0.0.1:0") as server:
            pipe.send((server.address, server.fingerprint))
            peer = await server.accept()
            async for message in peer:
                await peer.send(message)

    asyncio.run(serve())


def aio_round_trips(seconds: float) -> float:
    """Microseconds per awaited round trip."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=aio_echo, args=(theirs,))
    server.start()
    address, fingerprint = ours.recv()

    async def run() -> float:
        async with hikyaku.aio.connect(address, trust=fingerprint) as peer:
            count, began = 0, time.perf_counter()
            while time.perf_counter() - began < seconds:
                await peer.send(SMALL)
                await peer.recv()
                count += 1
            return (time.perf_counter() - began) / count * 1e6

    result = asyncio.run(run())
    server.join()
    return result


def zmq_sink(pipe: Any, count: int) -> None:
    import zmq

    sock = zmq.Context.instance().socket(zmq.PULL)
    pipe.send(sock.bind_to_random_port("tcp://127.0.0.1"))
    for _ in range(count):
        sock.recv()
    pipe.send("all")


def zmq_rate(payload: bytes, count: int) -> float:
    """Messages per second by pyzmq over TCP, unencrypted."""
    import zmq

    ours, theirs = multiprocessing.Pipe()
    sink = multiprocessing.Process(target=zmq_sink, args=(theirs, count))
    sink.start()
    sock = zmq.Context.instance().socket(zmq.PUSH)
    sock.connect(f"tcp://127.0.0.1:{ours.recv()}")
    began = time.perf_counter()
    for _ in range(count):
        sock.send(payload)
    ours.recv()
    took = time.perf_counter() - began
    sink.join()
    return count / took


def report(what: str, measure: Callable[[], float], unit: str) -> None:
    try:
        print(f"{what:52} {measure():14,.0f} {unit}", flush=True)
    except ImportError as missing:
        print(f"{what:52} {'-':>14} ({missing})", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--count", type=int, default=300_000)
    args = parser.parse_args()
    n = args.count
    report("64 bytes, send_many/recv_many", lambda: throughput(SMALL, True, n), "messages/s")
    report("64 bytes, one call each", lambda: throughput(SMALL, False, n), "messages/s")
    report("64 bytes, socket.sendto (unreliable, in the clear)", lambda: raw(SMALL, n), "datagrams/s")
    report("64 bytes, pyzmq over TCP (in the clear)", lambda: zmq_rate(SMALL, n), "messages/s")
    report("64 KiB, send_many/recv_many", lambda: throughput(LARGE, True, 20_000) * 65_536 / 1e6, "MB/s")
    report("awaited round trip, hikyaku.aio", lambda: aio_round_trips(args.seconds), "µs")
    report("awaited round trip, asyncio datagrams", lambda: asyncio_round_trips(args.seconds), "µs")


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    main()
