"""What the library has, from Python: channels, decisions, reconnecting, reasons, keys."""

import asyncio
import math
import select
import socket
import threading
import time

import pytest

import hikyaku
import hikyaku.aio
import hikyaku.keys


def pair(server, **options):
    client = hikyaku.connect(server.address, trust=server.fingerprint, **options)
    return client, server.accept(timeout=10)


def test_a_dedicated_channel_has_its_messages_alone(server):
    client, peer = pair(server)
    sound = peer.channel(2)
    assert sound.try_recv() is None
    client.channel(2).send("sound").acknowledged(timeout=10)
    client.send("text").acknowledged(timeout=10)
    client.channel(2).send_many(["a", "b"]).acknowledged(timeout=10)
    assert peer.recv(timeout=10).text == "text"
    assert sound.recv(timeout=10).text == "sound"
    assert [m.text for m in sound.recv_many(timeout=10)] == ["a", "b"]
    with pytest.raises(TimeoutError):
        sound.recv(timeout=0.05)
    assert peer.try_recv() is None and sound.queued_bytes == 0
    client.close()
    assert list(sound) == []


@pytest.fixture
def reordering(server):
    """The address of a link to the server that holds up every third datagram."""
    front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    front.bind(("127.0.0.1", 0))
    back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ended = threading.Event()

    def carry():
        held, number, client = [], 0, None
        while not ended.is_set():
            ready, _, _ = select.select([front, back], [], [], 0.005)
            for side in ready:
                data, sender = side.recvfrom(65_536)
                if side is front:
                    client = sender
                onward = (data, back, server.address) if side is front else (data, front, client)
                number += 1
                held.append((time.monotonic() + 0.02 * (number % 3 == 0), onward))
            now = time.monotonic()
            for _, (data, side, to) in [entry for entry in held if entry[0] <= now]:
                side.sendto(data, to)
            held = [entry for entry in held if entry[0] > now]

    carrying = threading.Thread(target=carry)
    carrying.start()
    yield front.getsockname()
    ended.set()
    carrying.join()
    front.close()
    back.close()


def test_deadline_messages_are_received_in_order(server, reordering):
    client = hikyaku.connect(reordering, trust=server.fingerprint)
    sound = server.accept(timeout=10).channel(2)
    client.channel(2).send_many(frames(), delivery=hikyaku.DEADLINE(20))
    assert [sound.recv_in_order(timeout=20).data for _ in range(50)] == frames()
    client.close()


def test_a_loop_receives_deadline_messages_in_order(server, reordering):
    async def main():
        async with await hikyaku.aio.connect(reordering, trust=server.fingerprint) as client:
            peer = server.accept(timeout=10)
            await client.send("begin")
            assert peer.recv(timeout=10).text == "begin"
            peer.channel(2).send_many(frames(), delivery=hikyaku.DEADLINE(20))
            sound = client.channel(2)
            return [(await sound.recv_in_order()).data for _ in range(50)]

    assert asyncio.run(asyncio.wait_for(main(), 60)) == frames()


def frames():
    """Returns messages of which each fills a packet."""
    return [number.to_bytes(2, "big") * 500 for number in range(50)]


def test_try_send_returns_none_when_the_queue_is_full(server):
    client, peer = pair(server, transport={"send_queue": 1_000_000})
    sent = 0
    deadline = time.monotonic() + 20
    while client.try_send(bytes(50_000)) is not None:
        sent += 1
        assert time.monotonic() < deadline
    assert sent > 0
    assert sum(len(peer.recv(timeout=10)) for _ in range(sent)) == sent * 50_000
    client.abort()


def test_a_server_decides_by_key_and_address(server):
    outcome = []

    def decide():
        incoming = server.incoming(timeout=10)
        assert incoming.address[0] == "127.0.0.1" and not incoming.shares_application
        outcome.append(incoming.peer_key)
        incoming.refuse(hikyaku.APPLICATION + 403, "you are banned")
        with pytest.raises(RuntimeError, match="before"):
            incoming.accept()
        outcome.append(server.incoming(timeout=10).accept())

    thread = threading.Thread(target=decide)
    thread.start()
    client = hikyaku.connect(server.address, trust=server.fingerprint)
    closed = client.wait_closed(timeout=10)
    assert (closed.code, closed.reason) == (0x1000 + 403, "you are banned")
    assert client.close_reason.code == closed.code
    second = hikyaku.connect(server.address, trust=server.fingerprint)
    thread.join(timeout=10)
    key, peer = outcome
    assert key == hikyaku.keys.fingerprint() == peer.peer_key
    assert (peer.trusted, second.trusted) == ("came in", "pinned")
    second.abort()


def test_refusals_during_the_handshake_are_reported(tmp_path):
    friends = tmp_path / "friends"
    hikyaku.keys.generate(tmp_path / "friend")
    friends.write_text((tmp_path / "friend.pub").read_text())
    with hikyaku.listen("127.0.0.1:0", allow=friends) as server:
        with pytest.raises(hikyaku.Refused):
            hikyaku.connect(server.address, trust=server.fingerprint, timeout=10).recv(timeout=5)
        refusal = server.refused(timeout=10)
        assert refusal.peer_key == hikyaku.keys.fingerprint() and "not accepted" in refusal.reason
        with hikyaku.connect(
            server.address, trust=server.fingerprint, identity=tmp_path / "friend"
        ) as friend:
            friend.send("it is me").acknowledged(timeout=10)


def test_keys_are_made_and_named(tmp_path):
    made = hikyaku.keys.generate(tmp_path / "key", comment="robot 7", passphrase="secret")
    assert made == hikyaku.keys.fingerprint(tmp_path / "key.pub")
    assert made == hikyaku.keys.fingerprint(tmp_path / "key", passphrase="secret")
    assert hikyaku.keys.public(tmp_path / "key.pub").endswith("robot 7")
    with pytest.raises(OSError, match="exists"):
        hikyaku.keys.generate(tmp_path / "key")
    with pytest.raises(ValueError, match="passphrase"):
        hikyaku.connect("127.0.0.1", identity=tmp_path / "key")


def test_a_shared_key_lets_in_those_who_have_it(tmp_path):
    hikyaku.keys.generate_shared(tmp_path / "shared")
    with hikyaku.listen("127.0.0.1:0", shared_key=tmp_path / "shared") as server:
        client, _ = pair(server, shared_key=tmp_path / "shared")
        client.abort()
        with pytest.raises(hikyaku.Refused, match="shared key"):
            hikyaku.connect(server.address, trust=server.fingerprint)


def test_reconnecting_gives_one_connection_after_the_other():
    with hikyaku.listen("127.0.0.1:0") as first:
        link = hikyaku.reconnecting(
            first.address, trust=hikyaku.ANY_KEY, first_pause=0.05, longest_pause=0.1
        )
        connections = iter(link)
        next(connections).send("one").acknowledged(timeout=10)
        assert first.accept(timeout=10).recv(timeout=10).text == "one"
        address = first.address
    with hikyaku.listen(address) as second:
        next(connections).send("two").acknowledged(timeout=10)
        assert second.accept(timeout=10).recv(timeout=10).text == "two"
    gone = hikyaku.reconnecting(address, trust=hikyaku.ANY_KEY, first_pause=0.01, attempts=2)
    with pytest.raises((OSError, TimeoutError)):
        gone.connect(timeout=20)


def test_options_reach_the_library_and_misspelled_ones_are_named():
    with hikyaku.listen(
        "127.0.0.1:0", idle_timeout=math.inf, transport={"max_message": 1_000}, retry="always"
    ) as server:
        client, _ = pair(server, application="a/1", transport={"keep_alive": 1})
        with pytest.raises(hikyaku.TooLarge):
            client.send(bytes(1_001))
        client.synchronize(timeout=10)
        assert client.stats["queued_bytes"] == 0 and server.stats["connections"] == 1
        client.abort()
    with pytest.raises(TypeError, match="connect\\(\\) has no option 'tiemout'.*idle_timeout"):
        hikyaku.connect("127.0.0.1", tiemout=1)
    with pytest.raises(TypeError, match="transport has no 'mtu'"):
        hikyaku.listen("127.0.0.1:0", transport={"mtu": 1})
    with pytest.raises(ValueError, match="max_mtu|mtu"):
        hikyaku.listen("127.0.0.1:0", transport={"max_mtu": 1})
    with pytest.raises(TypeError, match="has no option 'allow'"):
        hikyaku.connect("127.0.0.1", allow="friends")


def test_many_messages_of_all_kinds_arrive_as_they_are(server):
    with hikyaku.connect(server.address, trust=server.fingerprint) as client:
        peer = server.accept(timeout=10)
        client.send("again")
        again = peer.recv(timeout=10)
        kinds = [b"", b"short", "text", bytearray(b"array"), memoryview(b"view"), bytes(5_000), again]
        # More than one batch; what is short shares an allocation.
        count = 3_000
        receipts = client.send_many(kinds[n % 7] for n in range(count))
        assert len(receipts) == count
        got = []
        while len(got) < count:
            got += peer.recv_many(limit=count, timeout=10)
        for number, message in enumerate(got):
            kind = kinds[number % 7]
            assert bytes(message) == (kind.encode() if isinstance(kind, str) else bytes(kind))
        receipts.acknowledged(timeout=10)
        with pytest.raises(TypeError, match="not int"):
            client.send_many(["this is", "sent with the others", 1])
        client.send("or not at all")
        assert peer.recv(timeout=10) == "or not at all"


def test_states_of_many(server):
    client, _ = pair(server)
    receipts = client.send_many(["a", "b"])
    receipts.acknowledged(timeout=10)
    assert receipts.states == ["acknowledged"] * 2
    client.abort()


def test_closed_has_its_details_when_something_was_not_delivered():
    little = {"credit": 300_000, "channel_credit": 300_000}
    with hikyaku.listen("127.0.0.1:0", transport=little) as server:
        client, _ = pair(server)
        client.send_many([bytes(200_000)] * 10)
        with pytest.raises(hikyaku.Closed, match="not delivered") as caught:
            client.close(timeout=0.05)
        assert (caught.value.code, caught.value.graceful) == (None, True)


def test_the_same_for_asyncio():
    async def program():
        async with hikyaku.aio.listen("127.0.0.1:0") as server:
            connecting = asyncio.ensure_future(
                hikyaku.aio.connect(server.address, trust=server.fingerprint)._connect()
            )
            peer = (await server.incoming()).accept()
            client = await connecting
            sound = peer.channel(2)
            assert sound.try_recv() is None
            await client.channel(2).send("sound")
            await client.send("text")
            assert (await peer.recv()).text == "text"
            assert (await sound.recv()).text == "sound"
            receipts = await client.send_many([b"%d" % n for n in range(5_000)])
            got = []
            while len(got) < 5_000:
                got += await peer.recv_many()
            assert got == [b"%d" % n for n in range(5_000)]
            await receipts.acknowledged()
            assert len(receipts) == 5_000 and set(receipts.states) == {"acknowledged"}
            ending = asyncio.ensure_future(peer.wait_closed())
            client.abort(hikyaku.APPLICATION, "lunch")
            assert (await ending).reason == "lunch"
            link = hikyaku.aio.reconnecting(
                server.address, trust=server.fingerprint, first_pause=0.01, longest_pause=0.02
            )
            count = 0
            async for connection in link:
                await (await connection.send("x")).acknowledged()
                count += 1
                if count == 2:
                    connection.abort()
                    break
            refusing = asyncio.ensure_future(server.incoming())
            (await server.incoming()).refuse()
            refusing.cancel()

    asyncio.run(asyncio.wait_for(program(), 60))
