"""Plain UDP: the sockets of a beginner's guide, and what they lack.

::

    import hikyaku.plain

    sock = hikyaku.plain.socket()
    sock.bind(("localhost", 12345))
    data, address = sock.recvfrom(1024)
    sock.sendto(b"ACK", address)

`ack=` resends until acknowledged, `fernet=` encrypts, `sign=` and `signed_by=` sign and verify,
`filter=` lets some addresses in. Without them datagrams are as every UDP program sends them:
unencrypted, and lost where the network loses them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from socket import AF_INET, AF_INET6, SOCK_DGRAM, timeout

from . import Address, Data, _hikyaku
from ._options import Path

__all__ = ["AF_INET", "AF_INET6", "SOCK_DGRAM", "Socket", "socket", "timeout"]


class Socket:
    """A socket for datagrams, with the names that ``socket.socket`` has."""

    __slots__ = ("_any", "_options", "_inner", "_timeout", "_closed", "_peer")

    def __init__(self, any_address: Address, options: dict[str, Any]) -> None:
        self._any = any_address
        self._options = options
        self._peer: Address | None = None
        self._inner: _hikyaku._Socket | None = None
        self._timeout: float | None = None
        self._closed = False

    def _open(self, address: Address) -> _hikyaku._Socket:
        if self._closed:
            raise OSError("the socket is closed")
        if self._inner is None:
            self._inner = _hikyaku._Socket(address, self._options)
        return self._inner

    def bind(self, address: Address) -> None:
        """Binds the socket, as to ``("localhost", 12345)``; port 0 takes any free port."""
        if self._inner is not None:
            raise OSError("the socket is bound already")
        self._open(address)

    def sendto(
        self,
        data: Data,
        address: Address,
        *,
        ack: bool = False,
        ack_text: Data = b"ACK",
        timeout: float = 10.0,
    ) -> int:
        """Sends a datagram and returns its length.

        With `ack`, sends it again and again, from a port of its own, until the other side answers
        `ack_text`; raises TimeoutError if it does not within `timeout` seconds.
        """
        sock = self._open(self._any)
        if not ack:
            return sock._sendto(data, address)
        sock._sendto_acknowledged(data, address, ack_text, timeout)
        return len(data.encode() if isinstance(data, str) else data)

    def recvfrom(self, bufsize: int = 65535) -> tuple[bytes, tuple[str, int]]:
        """Returns the next datagram, cut to `bufsize` bytes, and its sender's address.

        Raises TimeoutError after the time of `settimeout`.
        """
        if self._inner is None and not self._closed:
            raise OSError("nobody can send to this socket yet: bind it first, or send something")
        data, address = self._open(self._any)._recvfrom(self._timeout)
        return data[:bufsize], address

    def connect(self, address: Address) -> None:
        """Sets where `send` sends to, and the only address that `recv` receives from."""
        self._peer = address

    def send(self, data: Data, *, ack: bool = False, timeout: float = 10.0) -> int:
        """Sends to the address of `connect`, as `sendto` does."""
        if self._peer is None:
            raise OSError("the socket is not connected: call connect(address), or use sendto")
        return self.sendto(data, self._peer, ack=ack, timeout=timeout)

    def recv(self, bufsize: int = 65535) -> bytes:
        """Returns the next datagram; of a connected socket, the next one from its peer."""
        while True:
            data, address = self.recvfrom(bufsize)
            if self._peer is None or isinstance(self._peer, str) or address == self._peer:
                return data

    def settimeout(self, timeout: float | None) -> None:
        """Sets how long `recvfrom` waits, in seconds; None waits forever."""
        self._timeout = timeout

    def getsockname(self) -> tuple[str, int]:
        """Returns where the socket is bound."""
        return self._open(self._any).getsockname()

    def close(self) -> None:
        """Closes the socket. Closing twice does nothing."""
        self._inner = None
        self._closed = True

    def __enter__(self) -> Socket:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._closed:
            return "<plain UDP socket, closed>"
        if self._inner is None:
            return "<plain UDP socket, not bound>"
        host, port = self._inner.getsockname()
        return f"<plain UDP socket on {host}:{port}>"


def socket(
    family: int = AF_INET,
    type: int = SOCK_DGRAM,
    *,
    fernet: str | bytes | None = None,
    sign: Path | None = None,
    passphrase: str | None = None,
    signed_by: Path | None = None,
    max_age: float = 60.0,
    filter: Sequence[tuple[str, str]] | None = None,
) -> Socket:
    """Makes a socket. `family` is AF_INET or AF_INET6.

    `fernet` is a key of ``Fernet.generate_key()``: datagrams are encrypted with it, and those that
    are not, or are older than `max_age` seconds, are dropped. `sign` is a private key that signs
    what is sent, `signed_by` a file of the public keys whose datagrams are received. `filter` has
    rules such as ``("deny", "192.0.2.7")``.
    """
    key = fernet.decode() if isinstance(fernet, bytes) else fernet
    if type != SOCK_DGRAM:
        raise ValueError("this module has datagrams alone: type is SOCK_DGRAM")
    return Socket(
        ("::", 0) if family == AF_INET6 else ("0.0.0.0", 0),
        {
            "fernet": key,
            "sign": sign,
            "passphrase": passphrase,
            "signed_by": signed_by,
            "max_age": max_age,
            "filter": None if filter is None else list(filter),
        },
    )
