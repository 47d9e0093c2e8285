"""Whether memory grows: a million messages, and ten thousand connections, in one process.

    python bindings/python/bench/leak.py [--messages N] [--connections N]

Prints the resident memory ten times on the way; exits with 1 if the second half grows by more than
a twentieth and 4 MiB.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
import tempfile
import time
from collections.abc import Callable

if __name__ == "__main__":
    os.environ["XDG_CONFIG_HOME"] = tempfile.mkdtemp(prefix="hikyaku-leak-")

import hikyaku
import hikyaku.aio


def resident() -> float:
    """The resident memory of this process, in MiB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def watched(what: str, count: int, run: Callable[[int], None]) -> bool:
    """Does something `count` times in ten parts; returns whether memory stays as it is."""
    seen, began = [], time.perf_counter()
    for _ in range(10):
        run(count // 10)
        gc.collect()
        seen.append(resident())
    flat = seen[9] <= seen[4] * 1.05 + 4
    print(
        f"{what:36} {time.perf_counter() - began:6.1f} s, MiB:",
        *(f"{one:.1f}" for one in seen),
        "" if flat else " GROWS",
        flush=True,
    )
    return flat


def messages(server: hikyaku.Server) -> Callable[[int], None]:
    client = hikyaku.connect(server.address, trust=server.fingerprint)
    peer = server.accept()

    def run(count: int) -> None:
        batch = [b"x" * 64] * 500
        for _ in range(count // 500):
            receipts = client.send_many(batch)
            got = 0
            while got < 500:
                got += len(peer.recv_many())
            receipts.acknowledged()

    return run


def single(server: hikyaku.Server) -> Callable[[int], None]:
    client = hikyaku.connect(server.address, trust=server.fingerprint)
    peer = server.accept()

    def run(count: int) -> None:
        for number in range(count):
            client.send(b"%d" % number)
            peer.recv().text

    return run


def connections(server: hikyaku.Server) -> Callable[[int], None]:
    def run(count: int) -> None:
        for _ in range(count):
            client = hikyaku.connect(server.address, trust=server.fingerprint)
            peer = server.accept()
            client.send("x")
            peer.recv()
            client.abort()
            peer.wait_closed()

    return run


def loops(count: int) -> None:
    """Event loops one after the other, each with messages and a connection."""

    async def program() -> None:
        async with hikyaku.aio.listen("127.0.0.1:0") as server:
            accepting = asyncio.ensure_future(server.accept())
            client = await hikyaku.aio.connect(server.address, trust=server.fingerprint)
            peer = await accepting
            await client.send_many([b"x" * 64] * 100)
            got = 0
            while got < 100:
                got += len(await peer.recv_many())
            client.abort()
            await peer.wait_closed()

    for _ in range(count):
        asyncio.run(program())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--connections", type=int, default=10_000)
    args = parser.parse_args()
    with hikyaku.listen("127.0.0.1:0") as server:
        flat = [
            watched(f"{args.messages:,} messages", args.messages, messages(server)),
            watched(f"{args.messages // 20:,} messages, one by one", args.messages // 20,
                    single(server)),
            watched(f"{args.connections:,} connections", args.connections, connections(server)),
            watched(f"{args.connections // 50:,} event loops", args.connections // 50, loops),
        ]
    sys.exit(0 if all(flat) else 1)


if __name__ == "__main__":
    main()
