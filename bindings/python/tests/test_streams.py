"""A channel as a stream of bytes, in both faces."""

import asyncio
import gc
import io
import shutil
import threading

import pytest

import hikyaku
import hikyaku.aio

DATA = bytes(range(256)) * 4_000


def pair(server):
    client = hikyaku.connect(server.address, trust=server.fingerprint)
    return client, server.accept(timeout=10)


def test_a_file_is_copied_through_a_stream_and_back(server):
    client, peer = pair(server)

    def echo():
        with peer.channel(1).stream(timeout=20) as stream:
            shutil.copyfileobj(stream, stream, 10_000)

    echoing = threading.Thread(target=echo)
    echoing.start()
    with client.channel(1).stream(timeout=20) as stream:
        writing = threading.Thread(target=lambda: (stream.write(DATA), stream.shutdown()))
        writing.start()
        assert stream.read() == DATA
        writing.join(20)
        assert stream.read(1) == b"", "the end stays the end"
    echoing.join(20)
    client.close()


def test_a_stream_is_a_file_of_lines(server):
    client, peer = pair(server)
    text = io.TextIOWrapper(io.BufferedRWPair(*[client.channel(1).stream(20)] * 2), "utf-8")
    text.write("一\nzwei\n")
    text.flush()
    theirs = io.BufferedReader(peer.channel(1).stream(20))
    assert theirs.readline() == "一\n".encode()
    assert theirs.readline() == b"zwei\n"
    ours = client.channel(2).stream(20)
    buffer = bytearray(b"....")
    assert ours.write(memoryview(b"ab")) == 2 and ours.readable() and ours.writable()
    assert peer.channel(2).stream(20).readinto(buffer) == 2 and buffer == b"ab.."
    for stream in (ours, theirs, text):
        stream.close()
    client.abort()


def test_what_is_cut_short_is_not_taken_for_whole(server):
    client, peer = pair(server)
    theirs = peer.channel(1).stream(timeout=20)
    with pytest.raises(KeyError):
        with client.channel(1).stream(timeout=20) as stream:
            stream.write(b"half")
            raise KeyError
    assert stream.closed
    with pytest.raises(ValueError, match="closed"):
        stream.write(b"more")
    assert theirs.read(100) == b"half"
    theirs.timeout = 0.05
    with pytest.raises(TimeoutError, match="no bytes"):
        theirs.read(100)
    theirs.timeout = 20
    client.close()
    with pytest.raises(hikyaku.Closed):
        theirs.read(100)
    with pytest.raises(hikyaku.Closed):
        theirs.close()
    assert theirs.closed


def test_a_forgotten_stream_is_warned_of_and_sends_no_end(server):
    client, peer = pair(server)
    client.channel(1).stream().write(b"x")
    with pytest.warns(ResourceWarning, match="byte stream on channel 2"):
        client.channel(2).stream()
        gc.collect()
    theirs = peer.channel(1).stream(timeout=20)
    assert theirs.read(10) == b"x"
    client.abort()
    with pytest.raises(hikyaku.Closed):
        theirs.read(10)
    with pytest.raises(hikyaku.Closed):
        theirs.shutdown()


def test_the_faces_have_the_same_streams():
    async def program():
        async with hikyaku.aio.listen("127.0.0.1:0") as server:
            accepting = asyncio.ensure_future(server.accept())
            client = await hikyaku.aio.connect(server.address, trust=server.fingerprint)
            peer = await accepting

            async def echo():
                async with peer.channel(1).stream() as stream:
                    async for part in stream:
                        await stream.write(part)

            echoing = asyncio.ensure_future(echo())
            stream = client.channel(1).stream()
            # A call that is given up takes nothing from the next one.
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(stream.read(10), 0.05)

            async def write():
                await stream.write(bytearray(DATA))
                await stream.flush()
                await stream.shutdown()

            writing = asyncio.ensure_future(write())
            assert await stream.readexactly(1_000) == DATA[:1_000]
            assert await stream.read() == DATA[1_000:]
            with pytest.raises(asyncio.IncompleteReadError):
                await stream.readexactly(1)
            await asyncio.gather(writing, echoing)
            with pytest.raises(BrokenPipeError):
                await stream.write(b"after the end")
            with pytest.raises(TypeError, match="async with"):
                with stream:
                    pass
            assert "byte stream on channel 1" in repr(stream)
            await client.close()

    asyncio.run(asyncio.wait_for(program(), 30))
