"""The asyncio face."""

import asyncio

import pytest

import hikyaku
import hikyaku.aio


def run(program, timeout=30):
    return asyncio.run(asyncio.wait_for(program, timeout))


async def pair(server):
    accepting = asyncio.ensure_future(server.accept())
    client = await hikyaku.aio.connect(server.address, trust=server.fingerprint)
    return client, await accepting


def test_messages_arrive_once_and_in_order():
    async def program():
        async with hikyaku.aio.listen("127.0.0.1:0") as server:
            client, peer = await pair(server)
            async with client:
                for number in range(3_000):
                    await client.send(str(number))
                got = [int((await peer.recv()).data) for _ in range(3_000)]
            return got

    assert run(program()) == list(range(3_000))


def test_connect_is_a_context_manager_and_an_iteration_ends_with_the_close():
    async def program():
        seen = []
        async with hikyaku.aio.listen("127.0.0.1:0") as server:

            async def serve():
                async for peer in server:
                    async for message in peer:
                        seen.append(message.text)
                        await peer.send(message)
                    return

            serving = asyncio.ensure_future(serve())
            async with hikyaku.aio.connect(
                server.address, trust=server.fingerprint
            ) as client:
                await client.send("hello")
                assert (await client.recv()).text == "hello"
            await serving
        return seen

    assert run(program()) == ["hello"]


def test_receipts_are_awaited():
    async def program():
        async with hikyaku.aio.listen("127.0.0.1:0") as server:
            client, _ = await pair(server)
            await (await client.send("kept")).acknowledged()
            with pytest.raises(hikyaku.NotDelivered):
                receipt = await client.send("sent", delivery=hikyaku.UNRELIABLE)
                await receipt.acknowledged()
            assert await client.ping() > 0
            client.abort(0x1001, "done")

    run(program())


def test_a_full_queue_suspends_the_sender_alone():
    async def program():
        async with hikyaku.aio.listen("127.0.0.1:0") as server:
            client, peer = await pair(server)
            sending = asyncio.ensure_future(client.send_many([bytes(200_000)] * 300))
            await asyncio.sleep(0.3)
            total = 0
            for _ in range(300):
                total += len(await peer.recv())
            await sending
            client.abort()
            return total

    assert run(program()) == 300 * 200_000


def test_a_cancelled_recv_loses_no_message():
    async def program():
        async with hikyaku.aio.listen("127.0.0.1:0") as server:
            client, peer = await pair(server)
            for _ in range(20):
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(peer.recv(), 0.005)
            for number in range(100):
                await client.send(str(number))
            got = []
            while len(got) < 100:
                try:
                    got.append(int((await asyncio.wait_for(peer.recv(), 0.05)).data))
                except asyncio.TimeoutError:
                    pass
            client.abort()
            return got

    assert run(program()) == list(range(100))


def test_the_end_wakes_every_reader_with_the_peers_reason():
    async def program():
        async with hikyaku.aio.listen("127.0.0.1:0") as server:
            client, peer = await pair(server)
            readers = [asyncio.ensure_future(peer.recv()) for _ in range(3)]
            await asyncio.sleep(0.05)
            client.abort(0x1234, "lunch")
            ends = await asyncio.gather(*readers, return_exceptions=True)
            return [(type(end), end.code, end.reason) for end in ends]

    assert run(program()) == [(hikyaku.Closed, 0x1234, "lunch")] * 3


def test_nobody_there_times_out():
    async def program():
        with pytest.raises((TimeoutError, OSError)):
            await hikyaku.aio.connect("127.0.0.1:9", trust=hikyaku.ANY_KEY, timeout=0.5)

    run(program())


def test_each_loop_has_its_own_bridge():
    async def program():
        async with hikyaku.aio.listen("127.0.0.1:0") as server:
            client, peer = await pair(server)
            await client.send("x")
            message = await peer.recv()
            client.abort()
            return message.text

    assert [run(program()) for _ in range(3)] == ["x"] * 3
