"""The same names as `hikyaku`, for asyncio.

::

    import hikyaku.aio as hikyaku

    async with hikyaku.connect("192.0.2.2", trust="SHA256:...") as peer:
        await peer.send("hello")
        async for message in peer:
            print(message.text)

Results come to the event loop in batches, with one wake-up each.
"""

from __future__ import annotations

import asyncio
import warnings
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from .. import (
    ANY_KEY,
    APPLICATION,
    CLOSE_TIMEOUT,
    DEADLINE,
    DEFAULT_PORT,
    LATEST,
    ORDERED,
    RELIABLE,
    UNRELIABLE,
    Address,
    Announcement,
    Closed,
    ConnectionStats,
    Data,
    Delivery,
    Destination,
    Error,
    Host,
    Invite,
    Invites,
    Message,
    NotDelivered,
    Options,
    Refusal,
    Refused,
    ServerOptions,
    ServerStats,
    TooLarge,
    Transport,
    Untrusted,
    _hikyaku,
    _wrong,
)
from .._discovery import SEARCH_TIME, hosts, wanted
from .._options import complete, destination, trusted
from ._bridge import Bridge, bridge
from ._stream import ByteStream, Waiters

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


class Receipt:
    """The receipt of a sent message."""

    __slots__ = ("_inner",)

    def __init__(self, inner: _hikyaku.Receipt) -> None:
        self._inner = inner

    async def acknowledged(self) -> None:
        """Waits until the peer has the message; raises NotDelivered if it was not acknowledged."""
        loop = bridge()
        await loop.future(lambda token: self._inner._when_acknowledged(loop.wakeups, token))

    @property
    def state(self) -> str:
        """What is known now, as `hikyaku.Receipt.state` says it."""
        return self._inner.state

    def __repr__(self) -> str:
        return repr(self._inner)


class Receipts:
    """The receipts of many messages."""

    __slots__ = ("_batches",)

    def __init__(self, batches: list[_hikyaku.Receipts]) -> None:
        self._batches = batches

    async def acknowledged(self) -> None:
        """Waits until each of the messages has an outcome. Raises as `Receipt.acknowledged` does."""
        loop = bridge()
        for batch in self._batches:
            await loop.future(lambda token: batch._when_acknowledged(loop.wakeups, token))

    @property
    def states(self) -> list[str]:
        """What is known now of each message, as `hikyaku.Receipt.state` says it."""
        return [state for batch in self._batches for state in batch.states]

    def __len__(self) -> int:
        return sum(map(len, self._batches))

    def __repr__(self) -> str:
        return f"<Receipts of {len(self)} messages>"


class _Reader:
    """Messages of a connection, or of one of its channels, for the tasks that wait for them."""

    __slots__ = ("_inbox", "_ready", "_waiters")

    def __init__(self, inner: _hikyaku._Connection, loop: Bridge, channel: int | None) -> None:
        self._ready: deque[Message] = deque()
        self._waiters = Waiters(loop)
        self._inbox = inner._inbox(loop.wakeups, loop.reader(self._waiters), channel)

    def take(self, limit: int = 256) -> Message | None:
        """Returns the next message, or None."""
        if not self._ready:
            self._ready.extend(self._inbox.take(limit))
        return self._ready.popleft() if self._ready else None

    async def recv(self) -> Message:
        return await self._waiters.until(self.take)

    async def recv_many(self, limit: int) -> list[Message]:
        if not self._ready and (messages := self._inbox.take(limit)):
            return messages
        messages = [await self.recv()]
        while self._ready and len(messages) < limit:
            messages.append(self._ready.popleft())
        return messages


class _Receives:
    """What connections and channels have in common."""

    __slots__ = ()

    def _reader(self) -> _Reader:
        raise NotImplementedError

    async def recv(self) -> Message:
        """Returns the next message; raises Closed when the connection is over.

        `asyncio.wait_for` and `asyncio.timeout` bound the wait, and lose nothing.
        """
        return await self._reader().recv()

    def try_recv(self) -> Message | None:
        """Returns the next message if one is there, or None."""
        return self._reader().take()

    async def recv_many(self, limit: int = 1_000) -> list[Message]:
        """Waits for a message, and returns up to `limit` of those that are there."""
        return await self._reader().recv_many(limit)

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    async def __anext__(self) -> Message:
        try:
            return await self._reader().recv()
        except Closed as closed:
            if closed.graceful:
                raise StopAsyncIteration from None
            raise

    def __iter__(self) -> NoReturn:
        _wrong.async_in_blocking()


class Channel(_Receives):
    """One of the 65,536 channels of a connection: an order and a priority of its own.

    Receiving on a channel makes it a dedicated one: from the first call on, `Connection.recv` gets
    none of its messages.
    """

    __slots__ = ("_connection", "number")

    def __init__(self, connection: Connection, number: int) -> None:
        self._connection = connection
        #: The number of the channel.
        self.number = number

    def _reader(self) -> _Reader:
        return self._connection._reader_of(self.number)

    async def recv_in_order(self) -> Message:
        """Returns the next message as `recv` does, and `DEADLINE` messages in the order of sending.

        One that overtook another waits for it, until shortly before a deadline passes. What comes
        after a later one was returned is dropped. The first call sets this for every call that
        receives messages of this channel.
        """
        self._connection._inner._keep_order(self.number)
        return await self.recv()

    async def send(self, data: Data, *, delivery: Delivery = ORDERED) -> Receipt:
        """Sends as `Connection.send` does."""
        return await self._connection.send(data, delivery=delivery, channel=self.number)

    def try_send(self, data: Data, *, delivery: Delivery = ORDERED) -> Receipt | None:
        """Sends if there is room, and returns None if there is none."""
        return self._connection.try_send(data, delivery=delivery, channel=self.number)

    async def send_many(self, messages: Iterable[Data], *, delivery: Delivery = ORDERED) -> Receipts:
        """Sends as `Connection.send_many` does."""
        return await self._connection.send_many(messages, delivery=delivery, channel=self.number)

    def stream(self) -> ByteStream:
        """Returns the channel as one ordered stream of bytes in each direction.

        Both sides use the channel so, and for nothing else. `hikyaku.Channel.stream` is the same.
        """
        return ByteStream(self._connection, self.number)

    def set_priority(self, priority: int) -> None:
        """Sets the priority, 0 to 7; it is 3 at first."""
        self._connection.set_priority(self.number, priority)

    @property
    def queued_bytes(self) -> int:
        """Bytes of messages that are queued on this channel and have no outcome yet."""
        return self._connection._inner._queued_bytes(self.number)

    def __repr__(self) -> str:
        return f"<channel {self.number} of {self._connection!r}>"


class Connection(_Receives):
    """A connection to a peer: an async context manager, and an async iterator of messages."""

    __slots__ = ("_inner", "_bridge", "_readers", "__weakref__")

    def __init__(self, inner: _hikyaku._Connection) -> None:
        if not isinstance(inner, _hikyaku._Connection):
            raise TypeError("`await hikyaku.aio.connect(address)` makes a connection")
        self._inner = inner
        self._bridge = bridge()
        self._readers: dict[int | None, _Reader] = {}

    def _reader(self) -> _Reader:
        return self._reader_of(None)

    def _reader_of(self, channel: int | None) -> _Reader:
        reader = self._readers.get(channel)
        if reader is None:
            reader = self._readers[channel] = _Reader(self._inner, self._bridge, channel)
        return reader

    async def send(
        self, data: Data, *, delivery: Delivery = ORDERED, channel: int = 0
    ) -> Receipt:
        """Queues a message, and waits while the queue is full."""
        receipt = self._inner._try_send(data, delivery, channel)
        if receipt is None:
            receipt = await self._send_later(data, delivery, channel)
        return Receipt(receipt)

    async def _send_later(self, data: Data, delivery: Delivery, channel: int) -> _hikyaku.Receipt:
        wakeups = self._bridge.wakeups
        receipt: _hikyaku.Receipt = await self._bridge.future(
            lambda token: self._inner._send_later(wakeups, token, data, delivery, channel)
        )
        return receipt

    def try_send(
        self, data: Data, *, delivery: Delivery = ORDERED, channel: int = 0
    ) -> Receipt | None:
        """Queues a message if there is room, and returns None if there is none."""
        receipt = self._inner._try_send(data, delivery, channel)
        return None if receipt is None else Receipt(receipt)

    async def send_many(
        self, messages: Iterable[Data], *, delivery: Delivery = ORDERED, channel: int = 0
    ) -> Receipts:
        """Queues many messages, in order, and waits while the queue is full."""
        wakeups, rest = self._bridge.wakeups, iter(messages)
        batches: list[_hikyaku.Receipts] = []
        while True:
            batch = await self._bridge.result(
                lambda token: self._inner._send_batch(wakeups, token, rest, delivery, channel)
            )
            if not len(batch):
                return Receipts(batches)
            batches.append(batch)

    def channel(self, number: int) -> Channel:
        """Returns a channel, 0 to 65,535. It needs no opening."""
        return Channel(self, number)

    async def ping(self) -> float | None:
        """Returns the round-trip time in seconds, or None if the ping was lost."""
        result: float | None = await self._bridge.future(
            lambda token: self._inner._when_pinged(self._bridge.wakeups, token)
        )
        return result

    async def close(self, timeout: float = CLOSE_TIMEOUT) -> None:
        """Delivers what was sent, and closes the connection."""
        if not self._inner.closed:
            await self._bridge.future(
                lambda token: self._inner._when_closed(self._bridge.wakeups, token, timeout)
            )

    def abort(self, code: int = 0, reason: str = "") -> None:
        """Ends the connection at once, with a code from APPLICATION on and a reason for the peer."""
        self._inner.abort(code, reason)

    async def wait_closed(self) -> Closed:
        """Waits until the connection is over, and returns why."""
        closed: Closed = await self._bridge.future(
            lambda token: self._inner._when_over(self._bridge.wakeups, token)
        )
        return closed

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
                f"unclosed {self!r}: use `async with`, or await close()",
                ResourceWarning,
                source=self,
            )

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise _wrong.attribute(self, name, "connection")

    def __enter__(self) -> NoReturn:
        _wrong.async_in_blocking()

    def __exit__(self, *_: object) -> None: ...

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            await self.close()
        elif not self._inner.closed:
            self.abort()

    def __repr__(self) -> str:
        return repr(self._inner)


class _Connecting:
    """What `connect` returns: to await, or to enter with ``async with``."""

    __slots__ = ("_begin", "_connection")

    def __init__(self, begin: Callable[[Bridge, int], None]) -> None:
        self._begin = begin
        self._connection: Connection | None = None

    async def _connect(self) -> Connection:
        loop = bridge()
        connection: Connection = await loop.future(lambda token: self._begin(loop, token))
        return connection

    def __await__(self) -> Generator[Any, None, Connection]:
        return self._connect().__await__()

    async def __aenter__(self) -> Connection:
        self._connection = await self._connect()
        return self._connection

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        if self._connection is not None:
            await self._connection.__aexit__(kind, error, trace)

    def __enter__(self) -> NoReturn:
        _wrong.async_in_blocking()

    def __exit__(self, *_: object) -> None: ...

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(
                f"there is no connection yet to take {name!r} of: write `peer = await connect(...)`, "
                "or `async with connect(...) as peer`",
                name=name,
                obj=self,
            )


def connect(
    address: Destination,
    *,
    trust: str | Sequence[str] | None = None,
    timeout: float = 10.0,
    **options: Unpack[Options],
) -> _Connecting:
    """Connects to a server, as `hikyaku.connect` does: ``await`` it, or ``async with`` it."""
    all_options = complete("connect", options)
    addresses, keys = destination(address, trust, all_options)

    def begin(loop: Bridge, token: int) -> None:
        _hikyaku._connect_later(
            loop.wakeups, token, addresses, keys, timeout, all_options, Connection
        )

    return _Connecting(begin)


async def discover(
    application: str,
    *,
    name: str | None = None,
    timeout: float = SEARCH_TIME,
    targets: Sequence[tuple[str, int]] | None = None,
    mdns: bool = True,
) -> list[Host]:
    """Searches the local network for servers, as `hikyaku.discover` does."""
    loop, search = bridge(), wanted(application, name, timeout, targets, mdns)
    return hosts(
        await loop.future(lambda token: _hikyaku._discover_later(loop.wakeups, token, search))
    )


class Reconnecting:
    """Connections to one peer, one after the other: an async iterator of them."""

    __slots__ = ("_inner", "_last")

    def __init__(self, inner: _hikyaku._Reconnecting) -> None:
        self._inner = inner
        self._last: Connection | None = None

    async def connect(self) -> Connection:
        """Connects, and again after each failure that another attempt may fix.

        Raises the last failure when another attempt is of no use, or no attempt is left.
        """
        loop = bridge()
        return Connection(
            await loop.future(lambda token: self._inner._when_connected(loop.wakeups, token))
        )

    def __aiter__(self) -> AsyncIterator[Connection]:
        return self

    async def __anext__(self) -> Connection:
        if self._last is not None and not self._last.closed:
            self._last.abort()
        self._last = await self.connect()
        return self._last


def reconnecting(
    address: Address,
    *,
    trust: str | Sequence[str] | None = None,
    first_pause: float = 0.5,
    longest_pause: float = 30.0,
    attempts: int | None = None,
    **options: Unpack[Options],
) -> Reconnecting:
    """Connects to a server again and again, as `hikyaku.reconnecting` does."""
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
    """Accepts connections: an async iterator of them, and an async context manager."""

    __slots__ = ("_announcements", "_closed", "_inner", "__weakref__")

    def __init__(self, inner: _hikyaku._Server) -> None:
        if not isinstance(inner, _hikyaku._Server):
            raise TypeError("hikyaku.aio.listen(address) makes a server")
        self._inner = inner
        self._announcements: list[Announcement] = []
        self._closed = False

    async def accept(self) -> Connection:
        """Waits for the next connection."""
        loop = bridge()
        accepted = await loop.future(
            lambda token: self._inner._when_accepted(loop.wakeups, token)
        )
        if accepted is None:
            raise Closed("the server is closed")
        return Connection(accepted)

    def __aiter__(self) -> AsyncIterator[Connection]:
        return self

    async def __anext__(self) -> Connection:
        loop = bridge()
        accepted = await loop.future(
            lambda token: self._inner._when_accepted(loop.wakeups, token)
        )
        if accepted is None:
            raise StopAsyncIteration
        return Connection(accepted)

    async def incoming(self) -> Incoming:
        """Waits for the next connection, to accept or refuse it by its address or key."""
        loop = bridge()
        incoming = await loop.future(
            lambda token: self._inner._when_incoming(loop.wakeups, token)
        )
        if incoming is None:
            raise Closed("the server is closed")
        return Incoming(incoming)

    async def refused(self) -> Refusal:
        """Waits until a client is refused during the handshake, and returns it."""
        loop = bridge()
        refused = await loop.future(
            lambda token: self._inner._when_refused(loop.wakeups, token)
        )
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
        """Announces the server on the local network, as `hikyaku.Server.announce` does."""
        about = (application, name, room, members, needs_key)
        self._announcements.append(Announcement(self._inner._announce(about, port, mdns), False))
        return self._announcements[-1]

    async def close(self, timeout: float = CLOSE_TIMEOUT) -> None:
        """Closes all connections, each within `timeout` seconds, and the socket."""
        if not self._closed:
            self._closed = True
            for announcement in self._announcements:
                announcement.stop()
            loop = bridge()
            await loop.future(
                lambda token: self._inner._when_closed(loop.wakeups, token, timeout)
            )

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens, as (host, port)."""
        return self._inner.address

    @property
    def fingerprint(self) -> str:
        """The fingerprint of its key: ``SHA256:...``."""
        return self._inner.fingerprint

    @property
    def stats(self) -> ServerStats:
        """Counters of the socket and of connections."""
        return self._inner.stats

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise _wrong.attribute(self, name, "server")

    def __enter__(self) -> NoReturn:
        _wrong.async_in_blocking()

    def __exit__(self, *_: object) -> None: ...

    def __iter__(self) -> NoReturn:
        _wrong.async_in_blocking()

    async def __aenter__(self) -> Server:
        return self

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        await self.close(CLOSE_TIMEOUT if kind is None else 0.5)

    def __repr__(self) -> str:
        return repr(self._inner)


def listen(
    address: Address = f"[::]:{DEFAULT_PORT}", **options: Unpack[ServerOptions]
) -> Server:
    """Opens a server, as `hikyaku.listen` does."""
    return Server(_hikyaku._Server(address, complete("listen", options)))
