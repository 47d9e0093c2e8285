"""The blocking face."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

import hikyaku


def pair(server, **options):
    """Returns both ends of a connection."""
    client = hikyaku.connect(server.address, trust=server.fingerprint, **options)
    return client, server.accept(timeout=10)


def test_messages_arrive_once_and_in_order(server):
    client, peer = pair(server)
    with client:
        for number in range(1_000):
            client.send(f"message {number}")
        got = [peer.recv(timeout=10).text for _ in range(1_000)]
    assert got == [f"message {number}" for number in range(1_000)]


def test_a_message_has_its_bytes_text_channel_and_class(server):
    client, peer = pair(server)
    client.send("こんにちは", delivery=hikyaku.RELIABLE, channel=7).acknowledged(timeout=10)
    message = peer.recv(timeout=10)
    assert message.text == "こんにちは" and message.data == "こんにちは".encode()
    assert bytes(message) == message.data and len(message) == 15
    assert message == "こんにちは" and message == message.data and message != "other"
    assert (message.channel, message.delivery) == (7, hikyaku.RELIABLE)
    assert hash(message) == hash(message.data)
    assert repr(message) == "<Message 'こんにちは', reliable on channel 7>"
    client.abort()


@pytest.mark.parametrize("data", [b"x", bytearray(b"x"), memoryview(b"x"), "x"])
def test_bytes_and_text_may_be_sent(server, data):
    client, peer = pair(server)
    client.send(data)
    assert peer.recv(timeout=10) == b"x"
    client.abort()


def test_a_received_message_can_be_sent_on(server):
    client, peer = pair(server)
    client.send(b"ping")
    peer.send(peer.recv(timeout=10))
    assert client.recv(timeout=10) == b"ping"
    client.abort()


def test_other_types_are_refused_with_advice(server):
    client, _ = pair(server)
    with pytest.raises(TypeError, match="bytes or str, not int: encode it first"):
        client.send(42)
    with pytest.raises(TypeError, match="not dict"):
        client.send({})
    client.abort()


def test_bytes_that_are_no_text_raise_unicode_decode_error(server):
    client, peer = pair(server)
    client.send(b"\xff\xfe")
    with pytest.raises(UnicodeDecodeError):
        peer.recv(timeout=10).text
    client.abort()


def test_every_class_arrives(server):
    client, peer = pair(server)
    for delivery in [
        hikyaku.ORDERED,
        hikyaku.RELIABLE,
        hikyaku.LATEST,
        hikyaku.UNRELIABLE,
        hikyaku.DEADLINE(5),
    ]:
        client.send(delivery.name, delivery=delivery)
        assert peer.recv(timeout=10).text == delivery.name
    assert repr(hikyaku.DEADLINE(0.04)) == "hikyaku.DEADLINE(0.04)"
    assert hikyaku.DEADLINE(0.04).seconds == pytest.approx(0.04)
    assert repr(hikyaku.LATEST) == "hikyaku.LATEST" and hikyaku.LATEST == hikyaku.LATEST
    with pytest.raises(ValueError, match="only DEADLINE"):
        hikyaku.ORDERED(1)
    client.abort()


def test_receipts_tell_what_became_of_a_message(server):
    client, _ = pair(server)
    receipt = client.send("kept")
    receipt.acknowledged(timeout=10)
    assert receipt.state == "acknowledged"
    unreliable = client.send("sent", delivery=hikyaku.UNRELIABLE)
    with pytest.raises(hikyaku.NotDelivered) as caught:
        unreliable.acknowledged(timeout=10)
    assert caught.value.reason == "unacknowledged"
    client.abort()


def test_many_are_sent_and_received_at_once(server):
    client, peer = pair(server)
    receipts = client.send_many([b"%d" % n for n in range(5_000)])
    got = []
    while len(got) < 5_000:
        got += peer.recv_many(timeout=10)
    assert got == [b"%d" % n for n in range(5_000)]
    receipts.acknowledged(timeout=10)
    assert len(receipts) == 5_000
    client.abort()


def test_an_iteration_ends_with_the_peers_close(server):
    client, peer = pair(server)
    seen = []
    reader = threading.Thread(target=lambda: seen.extend(m.text for m in peer))
    reader.start()
    with client:
        client.send("one")
        client.send("two")
    reader.join(timeout=10)
    assert seen == ["one", "two"] and peer.closed


def test_recv_after_the_end_raises_closed_with_the_peers_reason(server):
    client, peer = pair(server)
    client.abort(0x1234, "lunch")
    with pytest.raises(hikyaku.Closed) as caught:
        peer.recv(timeout=10)
    closed = caught.value
    assert (closed.code, closed.reason, closed.graceful) == (0x1234, "lunch", False)
    with pytest.raises(hikyaku.Closed):
        client.send("too late")


def test_closing_twice_is_harmless(server):
    client, _ = pair(server)
    client.close()
    client.close()
    assert client.closed


def test_recv_with_nobody_there_times_out(server):
    client, _ = pair(server)
    before = time.monotonic()
    with pytest.raises(TimeoutError, match="no message"):
        client.recv(timeout=0.2)
    assert time.monotonic() - before < 5
    client.abort()


def test_a_timeout_must_be_a_number_of_seconds(server):
    client, _ = pair(server)
    with pytest.raises(ValueError, match="timeout"):
        client.recv(timeout=-1)
    client.abort()


def test_a_wrong_port_says_what_to_check():
    with hikyaku.listen("127.0.0.1:0") as gone:
        address = gone.address
    with pytest.raises((TimeoutError, OSError)) as caught:
        hikyaku.connect(address, trust=hikyaku.ANY_KEY, timeout=1)
    assert str(address[1]) in str(caught.value)


def test_another_key_than_the_pinned_one_is_untrusted(server):
    other = "SHA256:" + "A" * 43
    with pytest.raises(hikyaku.Untrusted, match="not one of the expected keys"):
        hikyaku.connect(server.address, trust=other)
    with pytest.raises(ValueError, match="trust"):
        hikyaku.connect(server.address, trust="SHA256:no")


def test_a_host_is_remembered_as_ssh_does_it(tmp_path, server):
    known = tmp_path / "known_hosts"
    client = hikyaku.connect(server.address, trust=str(known))
    client.abort()
    assert "ssh-ed25519" in known.read_text()


def test_a_message_that_is_too_large_is_refused(server):
    client, _ = pair(server)
    with pytest.raises(hikyaku.TooLarge, match="parts"):
        client.send(bytes(100_000_000))
    client.abort()


def test_a_port_that_is_taken_is_an_os_error(server):
    host, port = server.address
    with pytest.raises(OSError, match="is used by another program"):
        hikyaku.listen((host, port))


def test_nobody_but_the_allowed_gets_in(tmp_path):
    friends = tmp_path / "friends"
    friends.write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBqlZurOi46yVH8BTHVwQqJQlcDLRVM1sDhrsCh+YTnQ somebody else\n")
    with hikyaku.listen("127.0.0.1:0", allow=friends) as server:
        with pytest.raises(hikyaku.Refused):
            client = hikyaku.connect(server.address, trust=server.fingerprint, timeout=5)
            client.recv(timeout=5)


def test_accept_times_out_and_a_closed_server_ends_its_loop(server):
    with pytest.raises(TimeoutError, match="nobody connected"):
        server.accept(timeout=0.1)
    threading.Timer(0.2, server.close).start()
    assert list(server) == []


def test_a_slow_reader_holds_up_a_sender_and_loses_nothing(server):
    client, peer = pair(server)
    count = 300
    sender = threading.Thread(target=lambda: client.send_many([bytes(200_000)] * count))
    sender.start()
    time.sleep(0.3)
    total = sum(len(peer.recv(timeout=20)) for _ in range(count))
    sender.join()
    assert total == count * 200_000
    client.abort()


def test_statistics_and_addresses(server):
    client, peer = pair(server)
    client.send("x").acknowledged(timeout=10)
    assert client.stats["sent_packets"] > 0 and client.stats["rtt"] > 0
    assert client.address == server.address
    assert client.peer_key == server.fingerprint
    assert client.ping() > 0
    assert "hikyaku connection to 127.0.0.1" in repr(peer)
    client.abort()


def run(program, **kwargs):
    """Runs a program of its own, with this test's home."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **kwargs,
    )


def test_ctrl_c_ends_a_blocking_recv():
    program = run(
        """
        import hikyaku
        server = hikyaku.listen("127.0.0.1:0")
        client = hikyaku.connect(server.address, trust=server.fingerprint)
        try:
            print("ready", flush=True)
            client.recv()
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        """
    )
    assert program.stdout.readline() == "ready\n"
    program.send_signal(signal.SIGINT)
    out, err = program.communicate(timeout=20)
    assert (out, err, program.returncode) == ("interrupted\n", "", 0)


def test_a_forgotten_close_and_the_end_of_the_interpreter_are_harmless():
    program = run(
        """
        import hikyaku, threading
        server = hikyaku.listen("127.0.0.1:0")
        client = hikyaku.connect(server.address, trust=server.fingerprint)
        threading.Thread(target=client.recv, daemon=True).start()
        client.send("bye")
        """
    )
    out, err = program.communicate(timeout=20)
    assert (out, err, program.returncode) == ("", "", 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_has_its_own_runtime():
    program = run(
        """
        import os, hikyaku
        server = hikyaku.listen("127.0.0.1:0")
        client = hikyaku.connect(server.address, trust=server.fingerprint)
        child = os.fork()
        if child == 0:
            try:
                client.send("from the child")
            except RuntimeError as error:
                print("refused:", "before the process forked" in str(error), flush=True)
            del client, server
            with hikyaku.listen("127.0.0.1:0") as own:
                with hikyaku.connect(own.address, trust=own.fingerprint) as again:
                    again.send("x").acknowledged(timeout=10)
            print("child done", flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        client.send("y").acknowledged(timeout=10)
        print("parent done", flush=True)
        """
    )
    out, err = program.communicate(timeout=60)
    assert (out, err) == ("refused: True\nchild done\nparent done\n", "")


def test_threads_share_a_connection(server):
    client, peer = pair(server)

    def work(channel):
        for number in range(500):
            client.send(b"%d" % number, channel=channel)

    threads = [threading.Thread(target=work, args=(channel,)) for channel in range(8)]
    for thread in threads:
        thread.start()
    got = {channel: [] for channel in range(8)}
    for _ in range(8 * 500):
        message = peer.recv(timeout=20)
        got[message.channel].append(int(message.data))
    for thread in threads:
        thread.join()
    assert all(numbers == list(range(500)) for numbers in got.values())
    client.abort()
