"""Event loops of other kinds: without add_reader, and uvloop."""

import asyncio
import gc
import os
import threading

import pytest

import hikyaku.aio


class WithoutReaders(asyncio.SelectorEventLoop):
    """A loop that cannot watch a socket, as the one of Windows."""

    def add_reader(self, *_):
        raise NotImplementedError


async def talk():
    async with hikyaku.aio.listen("127.0.0.1:0") as server:

        async def echo():
            async for peer in server:
                async for message in peer:
                    await peer.send(message)
                return

        serving = asyncio.ensure_future(echo())
        async with hikyaku.aio.connect(server.address, trust=server.fingerprint) as client:
            await client.send_many([b"%d" % n for n in range(2_000)])
            got = []
            while len(got) < 2_000:
                got += await client.recv_many()
        await serving
        return [int(message.data) for message in got]


def run(make):
    loop = make()
    try:
        return loop.run_until_complete(asyncio.wait_for(talk(), 60))
    finally:
        loop.close()


def test_a_loop_without_add_reader():
    assert run(WithoutReaders) == list(range(2_000))
    gc.collect()
    for thread in threading.enumerate():
        if thread.name == "hikyaku-loop":
            thread.join(timeout=10)
            assert not thread.is_alive()


def test_uvloop():
    uvloop = pytest.importorskip("uvloop")
    assert run(uvloop.new_event_loop) == list(range(2_000))


def test_a_loop_that_is_gone_leaves_nothing_open():
    run(asyncio.new_event_loop)
    gc.collect()
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for _ in range(5):
        run(asyncio.new_event_loop)
    gc.collect()
    after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert after <= before + 2
