"""What beginners do, and what they are advised to do instead."""

import asyncio
import gc
import subprocess
import sys
import textwrap
import threading
import time
import warnings

import pytest

import hikyaku
import hikyaku.aio
import hikyaku.plain


def pair(server):
    client = hikyaku.connect(server.address, trust=server.fingerprint)
    return client, server.accept(timeout=10)


def test_nobody_listens_at_the_port():
    with hikyaku.listen("127.0.0.1:0") as gone:
        address = gone.address
    with pytest.raises(OSError, match="start the server first, or check its address and port"):
        hikyaku.connect(address, trust=hikyaku.ANY_KEY, timeout=5)


@pytest.mark.parametrize(
    "address, kind, advice",
    [
        (("localhost", 5005.0), TypeError, "a whole number as port"),
        (("localhost", "5005"), TypeError, "a whole number as port"),
        (("localhost", 70_000), ValueError, "from 0 to 65535, not 70000"),
        (("localhost", -1), ValueError, "from 0 to 65535"),
        (5005, TypeError, r'\("", 5005\)'),
        (["localhost", 5005], TypeError, "an address is"),
        (None, TypeError, "an address is"),
        ("localhost:port", ValueError, "address: "),
        ("", ValueError, "address: "),
    ],
)
def test_an_address_that_is_none(address, kind, advice):
    for call in [hikyaku.listen, hikyaku.connect]:
        with pytest.raises(kind, match=advice):
            call(address)
    with hikyaku.plain.socket() as sock:
        with pytest.raises(kind, match=advice):
            sock.bind(address)


def test_the_address_of_an_ipv6_socket_is_one():
    try:
        server = hikyaku.listen(("::1", 0, 0, 0))
    except OSError:
        pytest.skip("no IPv6 here")
    assert server.address[0] == "::1"
    server.close()


def test_text_is_sent_as_utf_8_and_numbers_are_not_sent(server):
    client, peer = pair(server)
    client.send("é")
    assert peer.recv(timeout=10).data == "é".encode()
    with pytest.raises(TypeError, match="bytes or str, not int: encode it first"):
        client.send(1)
    with pytest.raises(TypeError, match="bytes or str, not int"):
        client.send_many([b"x", 1])
    client.abort()


def test_a_class_or_a_channel_that_is_none(server):
    client, _ = pair(server)
    with pytest.raises(TypeError, match="hikyaku.ORDERED, RELIABLE, LATEST.*not 'latest'"):
        client.send("x", delivery="latest")
    for channel in [-1, 65_536, 1 << 70]:
        with pytest.raises(ValueError, match="from 0 to 65535"):
            client.send("x", channel=channel)
    with pytest.raises(TypeError, match="from 0 to 65535"):
        client.send("x", channel="2")
    client.abort()


def test_closing_twice_and_using_what_is_closed(server):
    client, _ = pair(server)
    client.close()
    client.close()
    for call in [lambda: client.send("x"), lambda: client.recv(timeout=1)]:
        with pytest.raises(hikyaku.Closed, match="was closed here"):
            call()
    server.close()
    server.close()
    with pytest.raises(hikyaku.Closed, match="the server is closed"):
        server.accept(timeout=1)


def test_a_message_that_is_too_large_names_files(server):
    client, _ = pair(server)
    with pytest.raises(hikyaku.TooLarge, match="hikyaku.files"):
        client.send(bytes(100_000_000))
    client.abort()


def test_a_forgotten_close_warns(server):
    client, _ = pair(server)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del client
        gc.collect()
    assert any(
        issubclass(one.category, ResourceWarning) and "use `with`, or close()" in str(one.message)
        for one in caught
    )


def test_what_a_program_forgot_to_close_is_delivered_before_it_ends(server):
    host, port = server.address
    program = textwrap.dedent(
        f"""
        import hikyaku
        peer = hikyaku.connect(({host!r}, {port}), trust={server.fingerprint!r})
        for number in range(200):
            peer.send(str(number).encode() * 1_000)
        """
    )
    running = subprocess.Popen([sys.executable, "-c", program])
    peer = server.accept(timeout=20)
    got = [peer.recv(timeout=20).data for _ in range(200)]
    assert got == [str(number).encode() * 1_000 for number in range(200)]
    assert running.wait(timeout=20) == 0
    assert peer.wait_closed(timeout=10).graceful


def test_a_with_block_that_is_left_while_a_thread_receives(server):
    client, _ = pair(server)
    ends = []

    def receive():
        try:
            client.recv()
        except hikyaku.Closed as closed:
            ends.append(str(closed))

    thread = threading.Thread(target=receive)
    iterating = threading.Thread(target=lambda: ends.append(list(client)))
    with client:
        thread.start()
        iterating.start()
        time.sleep(0.1)
    thread.join(timeout=10)
    iterating.join(timeout=10)
    assert sorted(map(str, ends)) == ["[]", "the connection was closed here"]


def test_names_of_sockets_are_led_to_ours(server):
    client, _ = pair(server)
    with pytest.raises(AttributeError, match="a server has many peers: accept"):
        server.recv()
    with pytest.raises(AttributeError, match="hikyaku.plain.socket"):
        client.recvfrom(1024)
    with pytest.raises(AttributeError, match="recv\\(timeout=5\\)"):
        client.settimeout(5)
    with pytest.raises(AttributeError, match="'nonsense'"):
        client.nonsense
    with pytest.raises(TypeError, match="hikyaku.connect"):
        hikyaku.Connection("127.0.0.1")
    client.abort()


def test_a_plain_socket_that_nobody_can_send_to():
    with hikyaku.plain.socket() as sock:
        with pytest.raises(OSError, match="bind it first, or send something"):
            sock.recvfrom(1024)
        with pytest.raises(OSError, match="call connect"):
            sock.send(b"x")


def test_the_wrong_face():
    async def program():
        async with hikyaku.aio.listen("127.0.0.1:0") as server:
            connecting = hikyaku.aio.connect(server.address, trust=server.fingerprint)
            with pytest.raises(AttributeError, match="await connect"):
                connecting.send("x")
            with pytest.raises(TypeError, match="async with"):
                with connecting:
                    pass
            async with connecting as client:
                with pytest.raises(TypeError, match="async for"):
                    for _ in client:
                        pass
                with pytest.raises(AttributeError, match="timeout"):
                    client.settimeout(1)
        with hikyaku.listen("127.0.0.1:0") as server:
            with pytest.raises(TypeError, match="import hikyaku.aio"):
                async with server:
                    pass
            with pytest.raises(TypeError, match="import hikyaku.aio"):
                async for _ in server:
                    pass

    asyncio.run(asyncio.wait_for(program(), 30))


def test_a_forgotten_await_warns():
    async def program():
        async with hikyaku.aio.listen("127.0.0.1:0") as server:
            async with hikyaku.aio.connect(server.address, trust=server.fingerprint) as client:
                with pytest.warns(RuntimeWarning, match="Connection.send' was never awaited"):
                    client.send("x")
                    gc.collect()

    asyncio.run(asyncio.wait_for(program(), 30))


def test_calls_without_a_loop():
    with pytest.raises(RuntimeError, match="no running event loop"):
        hikyaku.aio.connect("127.0.0.1").__await__().send(None)
