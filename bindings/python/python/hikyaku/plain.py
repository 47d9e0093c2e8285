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

from . import Address, Data, Path, _hikyaku

__all__ = ["Socket", "socket"]


class Socket:
    """A socket for datagrams, with the names that ``socket.socket`` has."""

    __slots__ = ("_options", "_inner", "_timeout", "_closed")

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
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
        sock = self._open(("0.0.0.0", 0))
        if not ack:
            return sock._sendto(data, address)
        sock._sendto_acknowledged(data, address, ack_text, timeout)
        return len(data.encode() if isinstance(data, str) else data)

    def recvfrom(self, bufsize: int = 65535) -> tuple[bytes, tuple[str, int]]:
        """Returns the next datagram, cut to `bufsize` bytes, and its sender's address.

        Raises TimeoutError after the time of `settimeout`.
        """
        data, address = self._open(("0.0.0.0", 0))._recvfrom(self._timeout)
        return data[:bufsize], address

    def settimeout(self, timeout: float | None) -> None:
        """Sets how long `recvfrom` waits, in seconds; None waits for ever."""
        self._timeout = timeout

    def getsockname(self) -> tuple[str, int]:
        """Returns where the socket is bound."""
        return self._open(("0.0.0.0", 0)).getsockname()

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
    *,
    fernet: str | bytes | None = None,
    sign: Path | None = None,
    passphrase: str | None = None,
    signed_by: Path | None = None,
    max_age: float = 60.0,
    filter: Sequence[tuple[str, str]] | None = None,
) -> Socket:
    """Makes a socket.

    `fernet` is a key of ``Fernet.generate_key()``: datagrams are encrypted with it, and those that
    are not, or are older than `max_age` seconds, are dropped. `sign` is a private key that signs
    what is sent, `signed_by` a file of the public keys whose datagrams are received. `filter` has
    rules such as ``("deny", "192.0.2.7")``.
    """
    key = fernet.decode() if isinstance(fernet, bytes) else fernet
    return Socket(
        {
            "fernet": key,
            "sign": sign,
            "passphrase": passphrase,
            "signed_by": signed_by,
            "max_age": max_age,
            "filter": None if filter is None else list(filter),
        }
    )
