"""Plain sockets, with the standard library's at the other end."""

import socket
import threading

import pytest

import hikyaku.plain


def other():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(10)
    return sock


def test_the_guides_echo_runs_with_one_import_changed():
    with hikyaku.plain.socket() as sock, other() as peer:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(10)
        peer.sendto("こんにちは".encode(), sock.getsockname())
        data, address = sock.recvfrom(1024)
        assert data.decode() == "こんにちは" and address == peer.getsockname()
        sock.sendto(data, address)
        assert peer.recvfrom(1024) == (data, sock.getsockname())


def test_a_socket_that_was_not_bound_sends_and_receives():
    with hikyaku.plain.socket() as sock, other() as peer:
        sock.settimeout(10)
        assert sock.sendto("hi", peer.getsockname()) == 2
        data, address = peer.recvfrom(1024)
        peer.sendto(b"ACK", address)
        assert (data, sock.recvfrom()[0]) == (b"hi", b"ACK")


def test_ack_sends_again_until_it_is_acknowledged():
    with hikyaku.plain.socket() as sock, other() as peer:

        def answer():
            peer.recvfrom(1024)  # The first copy is lost.
            _, address = peer.recvfrom(1024)
            peer.sendto(b"ACK", address)

        thread = threading.Thread(target=answer)
        thread.start()
        assert sock.sendto(b"again", peer.getsockname(), ack=True) == 5
        thread.join()


def test_ack_gives_up_after_its_timeout():
    with hikyaku.plain.socket() as sock, other() as peer:
        with pytest.raises(TimeoutError, match="acknowledged"):
            sock.sendto(b"anyone?", peer.getsockname(), ack=True, timeout=0.3)


def test_fernet_tokens_are_those_of_cryptography():
    fernet = pytest.importorskip("cryptography.fernet")
    key = fernet.Fernet.generate_key()
    with hikyaku.plain.socket(fernet=key) as sock, other() as peer:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(10)
        sock.sendto("secret", peer.getsockname())
        token, address = peer.recvfrom(1024)
        assert fernet.Fernet(key).decrypt(token) == b"secret"
        peer.sendto(b"in the clear", address)
        peer.sendto(fernet.Fernet(key).encrypt(b"sealed"), address)
        assert sock.recvfrom()[0] == b"sealed"


def test_filtered_addresses_are_not_received():
    with hikyaku.plain.socket(filter=[("deny", "127.0.0.1/32")]) as sock, other() as peer:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(0.3)
        peer.sendto(b"let me in", sock.getsockname())
        with pytest.raises(TimeoutError):
            sock.recvfrom()


def test_a_beginners_mistakes_are_named():
    with hikyaku.plain.socket() as sock:
        with pytest.raises(TypeError, match="bytes or str, not int"):
            sock.sendto(1, ("127.0.0.1", 9))
    sock = hikyaku.plain.socket()
    sock.bind(("127.0.0.1", 0))
    with pytest.raises(OSError, match="bound already"):
        sock.bind(("127.0.0.1", 0))
    sock.close()
    sock.close()
    with pytest.raises(OSError, match="closed"):
        sock.recvfrom()
    with pytest.raises(ValueError, match="Fernet.generate_key"):
        hikyaku.plain.socket(fernet="no key").bind(("127.0.0.1", 0))
    assert repr(sock) == "<plain UDP socket, closed>"
