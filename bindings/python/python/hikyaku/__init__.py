"""Messages over UDP: encrypted, acknowledged, in order.

Six lines at each end::

    import hikyaku

    with hikyaku.listen("[::]:12345") as server:
        for peer in server:
            for message in peer:
                print(message.text)

    with hikyaku.connect("192.0.2.2", trust="SHA256:...") as peer:
        peer.send("hello").acknowledged()

`hikyaku.aio` has the same names for asyncio, `hikyaku.plain` the sockets of plain UDP.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Callable, Union

from . import _hikyaku
from ._hikyaku import (
    DEADLINE,
    LATEST,
    ORDERED,
    RELIABLE,
    UNRELIABLE,
    Closed,
    Delivery,
    Error,
    Message,
    NotDelivered,
    Receipt,
    Receipts,
    Refused,
    TooLarge,
    Untrusted,
    __version__,
)

__all__ = [
    "ANY_KEY",
    "DEADLINE",
    "DEFAULT_PORT",
    "LATEST",
    "ORDERED",
    "RELIABLE",
    "UNRELIABLE",
    "Channel",
    "Closed",
    "Connection",
    "Delivery",
    "Error",
    "Message",
    "NotDelivered",
    "Receipt",
    "Receipts",
    "Refused",
    "Server",
    "TooLarge",
    "Untrusted",
    "connect",
    "listen",
]

Data = Union[bytes, bytearray, memoryview, str, Message]
Address = Union[str, "tuple[str, int]"]
Path = Union[str, "os.PathLike[str]"]

#: Trust any key: the connection is encrypted, but with whom is not checked.
ANY_KEY = "any"

#: The port where nothing else is said.
DEFAULT_PORT = 12345

#: How long `close` waits for what was sent, in seconds.
CLOSE_TIMEOUT = 30.0


def _options(
    *,
    identity: Path | None,
    passphrase: str | None,
    shared_key: Path | None,
    allow: Path | None,
    filter: Sequence[tuple[str, str]] | None,
    application: str | None,
    congestion: str | None,
    idle_timeout: float | None,
    max_message: int | None,
    max_connections: int | None = None,
) -> dict[str, Any]:
    return {
        "identity": identity,
        "passphrase": passphrase,
        "shared_key": shared_key,
        "allow": allow,
        "filter": None if filter is None else list(filter),
        "application": application,
        "congestion": congestion,
        "idle_timeout": idle_timeout,
        "max_message": max_message,
        "max_connections": max_connections,
    }


class Channel:
    """One of the 65,536 channels of a connection: an order and a priority of its own."""

    __slots__ = ("_connection", "number")

    def __init__(self, connection: Connection, number: int) -> None:
        self._connection = connection
        #: The number of the channel.
        self.number = number

    def send(
        self, data: Data, *, delivery: Delivery = ORDERED, timeout: float | None = None
    ) -> Receipt:
        """Sends as `Connection.send` does."""
        return self._connection.send(
            data, delivery=delivery, channel=self.number, timeout=timeout
        )

    def set_priority(self, priority: int) -> None:
        """Sets the priority, 0 to 7; it is 3 at first."""
        self._connection.set_priority(self.number, priority)


class Connection:
    """A connection to a peer that has proved its key.

    A context manager, which closes it; and an iterator of messages, which ends when the peer has
    closed the connection. Any thread may use it.
    """

    __slots__ = ("_inner", "__weakref__")

    def __init__(self, inner: _hikyaku._Connection) -> None:
        self._inner = inner

    def send(
        self,
        data: Data,
        *,
        delivery: Delivery = ORDERED,
        channel: int = 0,
        timeout: float | None = None,
    ) -> Receipt:
        """Queues a message of bytes or text, and returns its receipt.

        Waits while the queue is full, up to `timeout` seconds. Raises Closed when the connection
        is over, TooLarge when no message of this size is ever delivered.
        """
        return self._inner._send(data, delivery, channel, timeout)

    def send_many(
        self,
        messages: Iterable[Data],
        *,
        delivery: Delivery = ORDERED,
        channel: int = 0,
        timeout: float | None = None,
    ) -> Receipts:
        """Queues many messages with one call, in order."""
        return self._inner._send_many(messages, delivery, channel, timeout)

    def recv(self, timeout: float | None = None) -> Message:
        """Returns the next message.

        Raises TimeoutError after `timeout` seconds, and Closed when the connection is over and
        every message has been received.
        """
        return self._inner._recv(timeout)

    def recv_many(self, limit: int = 1_000, timeout: float | None = None) -> list[Message]:
        """Waits for a message, and returns up to `limit` of those that are there."""
        return self._inner._recv_many(limit, timeout)

    def __iter__(self) -> Iterator[Message]:
        while True:
            try:
                messages = self._inner._recv_many(256, None)
            except Closed as closed:
                if closed.graceful:
                    return
                raise
            yield from messages

    def channel(self, number: int) -> Channel:
        """Returns a channel, 0 to 65,535. It needs no opening."""
        return Channel(self, number)

    def ping(self, timeout: float | None = 5.0) -> float | None:
        """Returns the round-trip time in seconds, or None if the ping was lost."""
        return self._inner._ping(timeout)

    def close(self, timeout: float = CLOSE_TIMEOUT) -> None:
        """Delivers what was sent, and closes the connection. Closing twice does nothing.

        Raises Closed if something was not delivered within `timeout` seconds.
        """
        if not self._inner.closed:
            self._inner._close(timeout)

    def abort(self, code: int = 0, reason: str = "") -> None:
        """Ends the connection at once, with a code from 0x1000 on and a reason for the peer."""
        self._inner.abort(code, reason)

    def set_priority(self, channel: int, priority: int) -> None:
        """Sets the priority, 0 to 7, of what is sent on a channel; it is 3 at first."""
        self._inner.set_priority(channel, priority)

    @property
    def closed(self) -> bool:
        """Whether the connection is over."""
        return self._inner.closed

    @property
    def address(self) -> tuple[str, int]:
        """The peer's address, as sockets have it."""
        return self._inner.address

    @property
    def peer_key(self) -> str:
        """The fingerprint of the peer's key: ``SHA256:...``."""
        return self._inner.peer_key

    @property
    def queued_bytes(self) -> int:
        """Bytes of messages that are queued and have no outcome yet."""
        return self._inner.queued_bytes

    @property
    def stats(self) -> dict[str, float]:
        """Statistics: times in seconds, rates in bytes per second."""
        return self._inner.stats

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self.close()
        elif not self._inner.closed:
            self.abort()

    def __repr__(self) -> str:
        return repr(self._inner)


class Server:
    """Accepts connections: an iterator of them, and a context manager that closes them."""

    __slots__ = ("_inner", "_closed")

    def __init__(self, inner: _hikyaku._Server) -> None:
        self._inner = inner
        self._closed = False

    def accept(self, timeout: float | None = None) -> Connection:
        """Waits for the next connection. Raises TimeoutError after `timeout` seconds."""
        accepted = self._inner._accept(timeout)
        if accepted is None:
            raise Closed("the server is closed")
        return Connection(accepted)

    def __iter__(self) -> Iterator[Connection]:
        while (accepted := self._inner._accept(None)) is not None:
            yield Connection(accepted)

    def close(self, timeout: float = CLOSE_TIMEOUT) -> None:
        """Closes all connections, each within `timeout` seconds, and the socket."""
        if not self._closed:
            self._closed = True
            self._inner._close(timeout)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens, as (host, port)."""
        return self._inner.address

    @property
    def fingerprint(self) -> str:
        """The fingerprint of its key, for clients to pin: ``SHA256:...``."""
        return self._inner.fingerprint

    def __enter__(self) -> Server:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.close(CLOSE_TIMEOUT if kind is None else 0.5)

    def __repr__(self) -> str:
        return repr(self._inner)


def connect(
    address: Address,
    *,
    trust: str | Sequence[str] | None = None,
    timeout: float = 10.0,
    identity: Path | None = None,
    passphrase: str | None = None,
    shared_key: Path | None = None,
    filter: Sequence[tuple[str, str]] | None = None,
    application: str | None = None,
    congestion: str | None = None,
    idle_timeout: float | None = None,
    max_message: int | None = None,
) -> Connection:
    """Connects to a server.

    `trust` is the fingerprint of its key (``SHA256:...``) or several, the path of a known-hosts
    file, or ANY_KEY. Without it the key of a host is remembered at first, and checked from then on,
    as ssh does it. `identity` is the path of an OpenSSH private key (Ed25519); without it, the key
    of the hikyaku command, which is made if there is none. `shared_key` is a file with a key that
    both sides have.

    Raises TimeoutError when nobody answers, Untrusted or Refused when one side does not want the
    other, OSError when the network says so.
    """
    options = _options(
        identity=identity,
        passphrase=passphrase,
        shared_key=shared_key,
        allow=None,
        filter=filter,
        application=application,
        congestion=congestion,
        idle_timeout=idle_timeout,
        max_message=max_message,
    )
    keys = trust if trust is None or isinstance(trust, str) else list(trust)
    wrap: Callable[[_hikyaku._Connection], Connection] = Connection
    return _hikyaku._connect(address, keys, timeout, options, wrap)


def listen(
    address: Address = f"[::]:{DEFAULT_PORT}",
    *,
    allow: Path | None = None,
    identity: Path | None = None,
    passphrase: str | None = None,
    shared_key: Path | None = None,
    filter: Sequence[tuple[str, str]] | None = None,
    application: str | None = None,
    congestion: str | None = None,
    idle_timeout: float | None = None,
    max_message: int | None = None,
    max_connections: int | None = None,
) -> Server:
    """Opens a server. Port 0 takes any free port; see `Server.address`.

    `allow` is a file of public keys, as ``authorized_keys``: nobody else gets in. `filter` has
    rules such as ``("allow", "192.0.2.0/24")``. The rest is as in `connect`.

    Raises OSError when the address is in use, or is none of this machine's.
    """
    options = _options(
        identity=identity,
        passphrase=passphrase,
        shared_key=shared_key,
        allow=allow,
        filter=filter,
        application=application,
        congestion=congestion,
        idle_timeout=idle_timeout,
        max_message=max_message,
        max_connections=max_connections,
    )
    return Server(_hikyaku._Server(address, options))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_hikyaku._after_fork)
