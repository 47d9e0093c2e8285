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

import atexit
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, NoReturn, Union

from . import _hikyaku, _wrong
from ._hikyaku import (
    DEADLINE,
    LATEST,
    ORDERED,
    RELIABLE,
    UNRELIABLE,
    Closed,
    Delivery,
    Error,
    Invite,
    Invites,
    Message,
    NotDelivered,
    Receipt,
    Receipts,
    Refused,
    TooLarge,
    Untrusted,
    __version__,
)
from ._discovery import SEARCH_TIME, Announcement, Host, hosts, wanted
from ._options import (
    Options,
    Path,
    ServerOptions,
    Transport,
    complete,
    destination,
    trusted,
)
from ._stats import ConnectionStats, ServerStats
from ._stream import ByteStream

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = [
    "ANY_KEY",
    "APPLICATION",
    "DEADLINE",
    "DEFAULT_PORT",
    "LATEST",
    "ORDERED",
    "RELIABLE",
    "UNRELIABLE",
    "Announcement",
    "ByteStream",
    "Channel",
    "Closed",
    "Connection",
    "ConnectionStats",
    "Delivery",
    "Error",
    "Host",
    "Incoming",
    "Invite",
    "Invites",
    "Message",
    "NotDelivered",
    "Options",
    "Receipt",
    "Receipts",
    "Reconnecting",
    "Refusal",
    "Refused",
    "Server",
    "ServerOptions",
    "ServerStats",
    "TooLarge",
    "Transport",
    "Untrusted",
    "connect",
    "discover",
    "listen",
    "reconnecting",
]

Data = Union[bytes, bytearray, memoryview, str, Message]
Address = Union[str, "tuple[str, int]"]

#: What `connect` connects to.
Destination = Union[Address, Host, Invite]

#: Trust any key: the connection is encrypted, but with whom is not checked.
ANY_KEY = "any"

#: The port where nothing else is said.
DEFAULT_PORT = 12345

#: How long `close` waits for what was sent, in seconds.
CLOSE_TIMEOUT = 30.0

#: The first code that `abort` and `Incoming.refuse` may use for reasons of a program's own.
APPLICATION = 0x1000

#: How long the end of the process waits for what was sent on connections that nobody closed.
EXIT_TIMEOUT = 3.0


class Channel:
    """One of the 65,536 channels of a connection: an order and a priority of its own.

    Receiving on a channel makes it a dedicated one: from the first call on, `Connection.recv` gets
    none of its messages.
    """

    __slots__ = ("_connection", "number")

    def __init__(self, connection: Connection, number: int) -> None:
        self._connection = connection
        #: The number of the channel.
        self.number = number

    def send(
        self, data: Data, *, delivery: Delivery = ORDERED, timeout: float | None = None
    ) -> Receipt:
        """Sends as `Connection.send` does."""
        return self._connection._inner._send(data, delivery, self.number, timeout)

    def try_send(self, data: Data, *, delivery: Delivery = ORDERED) -> Receipt | None:
        """Sends if there is room, and returns None if there is none."""
        return self._connection._inner._try_send(data, delivery, self.number)

    def send_many(
        self,
        messages: Iterable[Data],
        *,
        delivery: Delivery = ORDERED,
        timeout: float | None = None,
    ) -> Receipts:
        """Sends as `Connection.send_many` does."""
        return self._connection._inner._send_many(messages, delivery, self.number, timeout)

    def recv(self, timeout: float | None = None) -> Message:
        """Returns the next message of this channel."""
        return self._connection._inner._recv(self.number, timeout)

    def recv_in_order(self, timeout: float | None = None) -> Message:
        """Returns the next message as `recv` does, and `DEADLINE` messages in the order of sending.

        One that overtook another waits for it, until shortly before a deadline passes. What comes
        after a later one was returned is dropped. The first call sets this for every call that
        receives messages of this channel.
        """
        self._connection._inner._keep_order(self.number)
        return self._connection._inner._recv(self.number, timeout)

    def try_recv(self) -> Message | None:
        """Returns the next message of this channel if one is there, or None."""
        return self._connection._inner._try_recv(self.number)

    def recv_many(self, limit: int = 1_000, timeout: float | None = None) -> list[Message]:
        """Waits for a message of this channel, and returns up to `limit` that are there."""
        return self._connection._inner._recv_many(self.number, limit, timeout)

    def __iter__(self) -> Iterator[Message]:
        return _messages(self._connection, self.number)

    def stream(self, timeout: float | None = None) -> ByteStream:
        """Returns the channel as a binary file: one ordered stream of bytes in each direction.

        ::

            with peer.channel(1).stream() as stream:
                shutil.copyfileobj(file, stream)

        Each call on it waits for up to `timeout` seconds. Both sides use the channel so, and for
        nothing else; `into_byte_stream` is the same in Rust.
        """
        return ByteStream(self._connection, self.number, timeout)

    def set_priority(self, priority: int) -> None:
        """Sets the priority, 0 to 7; it is 3 at first."""
        self._connection.set_priority(self.number, priority)

    @property
    def queued_bytes(self) -> int:
        """Bytes of messages that are queued on this channel and have no outcome yet."""
        return self._connection._inner._queued_bytes(self.number)

    def __repr__(self) -> str:
        return f"<channel {self.number} of {self._connection!r}>"


def _messages(connection: Connection, channel: int | None) -> Iterator[Message]:
    while True:
        try:
            messages = connection._inner._recv_many(channel, 256, None)
        except Closed as closed:
            if closed.graceful:
                return
            raise
        yield from messages


class Connection:
    """A connection to a peer that has proved its key.

    A context manager, which closes it; and an iterator of messages, which ends when the peer has
    closed the connection. Any thread may use it.
    """

    __slots__ = ("_inner", "__weakref__")

    def __init__(self, inner: _hikyaku._Connection) -> None:
        if not isinstance(inner, _hikyaku._Connection):
            raise TypeError("hikyaku.connect(address) makes a connection")
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

    def try_send(
        self, data: Data, *, delivery: Delivery = ORDERED, channel: int = 0
    ) -> Receipt | None:
        """Queues a message as `send` does if there is room, and returns None if there is none."""
        return self._inner._try_send(data, delivery, channel)

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
        return self._inner._recv(None, timeout)

    def try_recv(self) -> Message | None:
        """Returns the next message if one is there, or None."""
        return self._inner._try_recv(None)

    def recv_many(self, limit: int = 1_000, timeout: float | None = None) -> list[Message]:
        """Waits for a message, and returns up to `limit` of those that are there."""
        return self._inner._recv_many(None, limit, timeout)

    def __iter__(self) -> Iterator[Message]:
        return _messages(self, None)

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
        """Ends the connection at once, with a code from APPLICATION on and a reason for the peer."""
        self._inner.abort(code, reason)

    def wait_closed(self, timeout: float | None = None) -> Closed:
        """Waits until the connection is over, and returns why."""
        return self._inner._wait_closed(timeout)

    def synchronize(self, timeout: float | None = None) -> None:
        """Waits until what this side asked for before has been handled: `stats` is up to date."""
        self._inner._synchronize(timeout)

    def set_priority(self, channel: int, priority: int) -> None:
        """Sets the priority, 0 to 7, of what is sent on a channel; it is 3 at first."""
        self._inner.set_priority(channel, priority)

    @property
    def closed(self) -> bool:
        """Whether the connection is over."""
        return self._inner.closed

    @property
    def close_reason(self) -> Closed | None:
        """Why the connection is over, or None while it is open."""
        return self._inner.close_reason

    @property
    def id(self) -> int:
        """The number of the connection, unique at its server."""
        return self._inner.id

    @property
    def address(self) -> tuple[str, int]:
        """The peer's address, as sockets have it."""
        return self._inner.address

    @property
    def peer_key(self) -> str:
        """The fingerprint of the peer's key: ``SHA256:...``."""
        return self._inner.peer_key

    @property
    def trusted(self) -> str:
        """How the key was checked.

        ``"known"``, ``"first contact"``, ``"pinned"``, ``"unchecked"``, or ``"came in"`` at a server.
        """
        return self._inner.trusted

    @property
    def shares_application(self) -> bool:
        """Whether both ends named the same application."""
        return self._inner.shares_application

    @property
    def queued_bytes(self) -> int:
        """Bytes of messages that are queued and have no outcome yet."""
        return self._inner._queued_bytes(None)

    @property
    def stats(self) -> ConnectionStats:
        """Statistics: times in seconds, rates in bytes per second."""
        return self._inner.stats

    def __del__(self) -> None:
        inner = getattr(self, "_inner", None)
        try:
            forgotten = inner is not None and not inner.closed
        except RuntimeError:
            return  # It was opened before a fork.
        if forgotten:
            warnings.warn(
                f"unclosed {self!r}: use `with`, or close()", ResourceWarning, source=self
            )

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise _wrong.attribute(self, name, "connection")

    async def __aenter__(self) -> NoReturn:
        _wrong.blocking_in_async()

    async def __aexit__(self, *_: object) -> None: ...

    def __aiter__(self) -> NoReturn:
        _wrong.blocking_in_async()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self.close()
        elif not self._inner.closed:
            self.abort()

    def __repr__(self) -> str:
        return repr(self._inner)


class Refusal(NamedTuple):
    """A client that was refused during the handshake."""

    #: The address, as sockets have it.
    address: tuple[str, int]
    #: The fingerprint of the key, if the handshake got that far.
    peer_key: str | None
    #: Why.
    reason: str


class Incoming:
    """A connection that came in, to accept or refuse. Its peer has proved its address and its key.

    It is refused when nothing is done with it.
    """

    __slots__ = ("_inner", "_shown")

    def __init__(self, inner: _hikyaku._Incoming) -> None:
        self._inner = inner
        self._shown = (inner.address, inner.peer_key, inner.shares_application)

    def accept(self) -> Connection:
        """Accepts the connection."""
        return Connection(self._inner._accept())

    def refuse(self, code: int | None = None, reason: str = "") -> None:
        """Refuses the connection, with a code from APPLICATION on and a reason for the peer."""
        self._inner._refuse(code, reason)

    @property
    def address(self) -> tuple[str, int]:
        """The peer's address, as sockets have it."""
        return self._shown[0]

    @property
    def peer_key(self) -> str:
        """The fingerprint of the peer's key: ``SHA256:...``."""
        return self._shown[1]

    @property
    def shares_application(self) -> bool:
        """Whether both ends named the same application."""
        return self._shown[2]

    def __repr__(self) -> str:
        return "<connection from %s:%d, %s>" % (*self.address, self.peer_key)


class Server:
    """Accepts connections: an iterator of them, and a context manager that closes them."""

    __slots__ = ("_announcements", "_closed", "_inner", "__weakref__")

    def __init__(self, inner: _hikyaku._Server) -> None:
        if not isinstance(inner, _hikyaku._Server):
            raise TypeError("hikyaku.listen(address) makes a server")
        self._inner = inner
        self._announcements: list[Announcement] = []
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

    def incoming(self, timeout: float | None = None) -> Incoming:
        """Waits for the next connection, to accept or refuse it by its address or key."""
        incoming = self._inner._incoming(timeout)
        if incoming is None:
            raise Closed("the server is closed")
        return Incoming(incoming)

    def refused(self, timeout: float | None = None) -> Refusal:
        """Waits until a client is refused during the handshake, and returns it."""
        refused = self._inner._refused(timeout)
        if refused is None:
            raise Closed("the server is closed")
        return Refusal(*refused)

    def announce(
        self,
        name: str,
        *,
        application: str,
        room: str = "",
        members: int | None = None,
        needs_key: bool = False,
        port: int | None = None,
        mdns: bool = True,
    ) -> Announcement:
        """Announces the server on the local network, for `discover`, until that is stopped.

        `application` is what clients search for, such as ``"thermometer/1"``, and `name` which of
        them this is. Answers on the discovery `port`, and by mDNS.
        """
        about = (application, name, room, members, needs_key)
        self._announcements.append(Announcement(self._inner._announce(about, port, mdns), True))
        return self._announcements[-1]

    def close(self, timeout: float = CLOSE_TIMEOUT) -> None:
        """Closes all connections, each within `timeout` seconds, and the socket."""
        if not self._closed:
            self._closed = True
            for announcement in self._announcements:
                announcement.stop()
            self._inner._close(timeout)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens, as (host, port)."""
        return self._inner.address

    @property
    def fingerprint(self) -> str:
        """The fingerprint of its key, for clients to pin: ``SHA256:...``."""
        return self._inner.fingerprint

    @property
    def stats(self) -> ServerStats:
        """Counters of the socket and of connections."""
        return self._inner.stats

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise _wrong.attribute(self, name, "server")

    async def __aenter__(self) -> NoReturn:
        _wrong.blocking_in_async()

    async def __aexit__(self, *_: object) -> None: ...

    def __aiter__(self) -> NoReturn:
        _wrong.blocking_in_async()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.close(CLOSE_TIMEOUT if kind is None else 0.5)

    def __repr__(self) -> str:
        return repr(self._inner)


class Reconnecting:
    """Connections to one peer, one after the other: an iterator of them."""

    __slots__ = ("_inner",)

    def __init__(self, inner: _hikyaku._Reconnecting) -> None:
        self._inner = inner

    def connect(self, timeout: float | None = None) -> Connection:
        """Connects, and again after each failure that another attempt may fix.

        Raises the last failure when another attempt is of no use, or no attempt is left.
        """
        return Connection(self._inner._connect(timeout))

    def __iter__(self) -> Iterator[Connection]:
        while True:
            connection = self.connect()
            yield connection
            if not connection.closed:
                connection.abort()


def connect(
    address: Destination,
    *,
    trust: str | Sequence[str] | None = None,
    timeout: float = 10.0,
    **options: Unpack[Options],
) -> Connection:
    """Connects to a server: ``"host:port"``, ``("host", port)``, a `Host` or an `Invite` or its line.

    `trust` is the fingerprint of its key (``SHA256:...``) or several, the path of a known-hosts
    file, or ANY_KEY. Without it the key of a host is remembered at first, and checked from then on,
    as ssh does it; hosts and invites name the key. The other options are those of `Options`: `identity`, `shared_key`, and so on.

    Raises TimeoutError when nobody answers, Untrusted or Refused when one side does not want the
    other, OSError when the network says so.
    """
    wrap: Callable[[_hikyaku._Connection], Connection] = Connection
    all_options = complete("connect", options)
    addresses, keys = destination(address, trust, all_options)
    return _hikyaku._connect(addresses, keys, timeout, all_options, wrap)


def discover(
    application: str,
    *,
    name: str | None = None,
    timeout: float = SEARCH_TIME,
    targets: Sequence[tuple[str, int]] | None = None,
    mdns: bool = True,
) -> list[Host]:
    """Searches the local network for servers that `Server.announce` an application.

    ::

        for host in hikyaku.discover("thermometer/1"):
            with hikyaku.connect(host) as peer: ...

    With a `name`, only servers of that name are returned, as soon as one is found; otherwise all
    that answer within `timeout` seconds, by name. `targets` are addresses to ask instead of every
    network of this machine. Nothing of a result is proved: connecting checks the key.
    """
    return hosts(_hikyaku._discover(wanted(application, name, timeout, targets, mdns)))


def reconnecting(
    address: Address,
    *,
    trust: str | Sequence[str] | None = None,
    first_pause: float = 0.5,
    longest_pause: float = 30.0,
    attempts: int | None = None,
    **options: Unpack[Options],
) -> Reconnecting:
    """Connects to a server again and again, for a program that has to stay connected.

    ::

        for peer in hikyaku.reconnecting("192.0.2.2", trust="SHA256:..."):
            try:
                while True:
                    peer.send(reading(), delivery=hikyaku.LATEST)
                    time.sleep(1)
            except hikyaku.Closed as closed:
                if not closed.retryable:
                    raise

    The pauses double from `first_pause` up to `longest_pause` seconds. After `attempts` failures one
    after the other the last one is raised; without it, attempts continue forever.
    """
    return Reconnecting(
        _hikyaku._Reconnecting(
            address,
            trusted(trust),
            complete("reconnecting", options),
            first_pause,
            longest_pause,
            attempts,
        )
    )


def listen(
    address: Address = f"[::]:{DEFAULT_PORT}", **options: Unpack[ServerOptions]
) -> Server:
    """Opens a server. Port 0 takes any free port; see `Server.address`.

    The options are those of `ServerOptions`. `allow` is a file of public keys, as
    ``authorized_keys``: nobody else gets in.

    Raises OSError when the address is in use, or does not belong to this machine.
    """
    return Server(_hikyaku._Server(address, complete("listen", options)))


atexit.register(_hikyaku._at_exit, EXIT_TIMEOUT)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_hikyaku._after_fork)
