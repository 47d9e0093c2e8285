"""Speed beside `socket`, asyncio's datagrams, aioquic and pyzmq, in one run on loopback.

    python bindings/python/bench/bench.py [--only WORDS] [--count N] [--rounds N] [--seconds S]
        [--json FILE]

Each line is measured between two processes. On a shared machine only ratios within one run mean
something; the processor time, of both processes together, depends less on what else runs.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import statistics
import tempfile
from collections.abc import Callable
from typing import Any

os.environ.setdefault("XDG_CONFIG_HOME", tempfile.mkdtemp(prefix="hikyaku-bench-"))

import peers  # noqa: E402

SMALL = b"x" * 64
LARGE = b"x" * 65_536


def cpu() -> float:
    """Seconds of processor time that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def serving(serve: Callable[..., None], pipe: Any, args: tuple[Any, ...]) -> None:
    before = cpu()
    serve(pipe, *args)
    pipe.send(cpu() - before)


def between(
    serve: Callable[..., None], send: Callable[..., Any], *args: Any
) -> tuple[Any, float]:
    """Runs both ends; returns what the sender does, and seconds of processor time of both."""
    ours, theirs = multiprocessing.Pipe()
    other = multiprocessing.Process(target=serving, args=(serve, theirs, args))
    other.start()
    before = cpu()
    took = send(ours, *args)
    used = cpu() - before
    used += ours.recv()
    other.join()
    return took, used


class Table:
    def __init__(self, only: str | None, rounds: int) -> None:
        self.only, self.rounds, self.rows = only, rounds, []

    def rate(self, what: str, count: int, size: int, run: Callable[[int], Any]) -> None:
        """Measures `count` messages; the median of all rounds."""
        if self.only and self.only not in what:
            return
        try:
            runs = [run(count) for _ in range(self.rounds)]
        except ImportError as missing:
            print(f"{what:48} {missing}", flush=True)
            return
        rates = sorted(count / took for took, _ in runs)
        rate = statistics.median(rates)
        work = statistics.median(used for _, used in runs) / count * 1e6
        row = {
            "what": what,
            "messages_per_second": rate,
            "fastest": rates[-1],
            "slowest": rates[0],
            "MB_per_second": rate * size / 1e6,
            "cpu_us_per_message": work,
        }
        self.rows.append(row)
        print(
            f"{what:48} {rate:12,.0f}/s ({rates[0]:,.0f}-{rates[-1]:,.0f})"
            f" {rate * size / 1e6:9,.1f} MB/s {work:9.2f} µs CPU each",
            flush=True,
        )

    def trip(self, what: str, seconds: float, run: Callable[[float], Any]) -> None:
        """Measures round trips for so many seconds."""
        if self.only and self.only not in what:
            return
        try:
            times, used = run(seconds)
        except ImportError as missing:
            print(f"{what:48} {missing}", flush=True)
            return
        row = {
            "what": what,
            "median_us": statistics.median(times) * 1e6,
            "p99_us": sorted(times)[len(times) * 99 // 100] * 1e6,
            "mean_us": statistics.fmean(times) * 1e6,
            "cpu_us": used / len(times) * 1e6,
        }
        self.rows.append(row)
        print(
            f"{what:48} {row['median_us']:9,.1f} µs median {row['p99_us']:9,.1f} µs p99"
            f" {row['mean_us']:9,.1f} µs mean {row['cpu_us']:9.1f} µs CPU each",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--count", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=1, help="runs of each rate")
    parser.add_argument("--only", help="lines with these words")
    parser.add_argument("--json", help="write the figures to this file, too")
    args = parser.parse_args()
    table, n, quic = Table(args.only, args.rounds), args.count, max(1_000, args.count // 15)
    p = peers

    table.rate("64 B, hikyaku, send_many/recv_many", n, 64,
               lambda n: between(p.hikyaku_sink, p.hikyaku_send, SMALL, n, True))
    table.rate("64 B, hikyaku, one call each", n, 64,
               lambda n: between(p.hikyaku_sink, p.hikyaku_send, SMALL, n, False))
    table.rate("64 B, hikyaku.aio, send_many/recv_many", n, 64,
               lambda n: between(p.aio_sink, p.aio_send, SMALL, n, True))
    table.rate("64 B, socket (in the clear, may lose)", n, 64,
               lambda n: p.raw(SMALL, n, between))
    table.rate("64 B, pyzmq (TCP, in the clear)", n, 64,
               lambda n: between(p.zmq_sink, p.zmq_send, SMALL, n))
    table.rate("64 B, aioquic, one stream", quic, 64,
               lambda n: between(p.quic_sink, p.quic_send, SMALL, n))
    table.rate("64 KiB, hikyaku, send_many/recv_many", max(50, n // 15), 65_536,
               lambda n: between(p.hikyaku_sink, p.hikyaku_send, LARGE, n, True))
    table.rate("64 KiB, pyzmq (TCP, in the clear)", max(50, n // 15), 65_536,
               lambda n: between(p.zmq_sink, p.zmq_send, LARGE, n))
    table.rate("64 KiB, aioquic, one stream", max(20, n // 1_000), 65_536,
               lambda n: between(p.quic_sink, p.quic_send, LARGE, n))
    table.trip("round trip, asyncio datagrams (in the clear)", args.seconds,
               lambda s: between(p.asyncio_echo, p.asyncio_ask, SMALL, s))
    table.trip("round trip, hikyaku.aio", args.seconds,
               lambda s: between(p.aio_echo, p.aio_ask, SMALL, s))
    table.trip("round trip, hikyaku (blocking)", args.seconds,
               lambda s: between(p.hikyaku_echo, p.hikyaku_ask, SMALL, s))
    table.trip("round trip, socket (blocking, in the clear)", args.seconds,
               lambda s: between(p.raw_echo, p.raw_ask, SMALL, s))
    table.trip("round trip, aioquic", args.seconds,
               lambda s: between(p.quic_echo, p.quic_ask, SMALL, s))
    if args.json:
        with open(args.json, "w") as file:
            json.dump({"load": os.getloadavg(), "rows": table.rows}, file, indent=2)


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    main()
