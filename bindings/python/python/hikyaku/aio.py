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
import itertools
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Sequence
from typing import Any

from . import (
    ANY_KEY,
    CLOSE_TIMEOUT,
    DEADLINE,
    DEFAULT_PORT,
    LATEST,
    ORDERED,
    RELIABLE,
    UNRELIABLE,
    Address,
    Closed,
    Data,
    Delivery,
    Error,
    Message,
    NotDelivered,
    Path,
    Refused,
    TooLarge,
    Untrusted,
    _hikyaku,
    _options,
)

__all__ = [
    "ANY_KEY",
    "DEADLINE",
    "DEFAULT_PORT",
    "LATEST",
    "ORDERED",
    "RELIABLE",
    "UNRELIABLE",
    "Closed",
    "Connection",
    "Delivery",
    "Error",
    "Message",
    "NotDelivered",
    "Receipt",
    "Refused",
    "Server",
    "TooLarge",
    "Untrusted",
    "connect",
    "listen",
]


class _Bridge:
    """What connects one event loop to the runtime's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.wakeups = _hikyaku.Wakeups()
        self._tokens = itertools.count(1)
        self._futures: dict[int, asyncio.Future[Any]] = {}
        self._readers: weakref.WeakValueDictionary[int, Connection] = weakref.WeakValueDictionary()
        loop.add_reader(self.wakeups.fileno(), self._on_results)

    def future(self, begin: Callable[[int], None]) -> asyncio.Future[Any]:
        """Begins something, and returns the future of its result."""
        token = next(self._tokens)
        future = self._loop.create_future()
        self._futures[token] = future
        try:
            begin(token)
        except BaseException:
            del self._futures[token]
            raise
        return future

    def reader(self, connection: Connection) -> int:
        """Returns a token: `connection` is notified when messages come."""
        token = next(self._tokens)
        self._readers[token] = connection
        return token

    def _on_results(self) -> None:
        for token, value, error in self.wakeups.drain():
            future = self._futures.pop(token, None)
            if future is None:
                reader = self._readers.get(token)
                if reader is not None:
                    reader._on_readable()
            elif not future.done():
                if error is None:
                    future.set_result(value)
                else:
                    future.set_exception(error)


_bridges: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Bridge] = (
    weakref.WeakKeyDictionary()
)


def _bridge() -> _Bridge:
    loop = asyncio.get_running_loop()
    bridge = _bridges.get(loop)
    if bridge is None:
        bridge = _bridges[loop] = _Bridge(loop)
    return bridge


class Receipt:
    """The receipt of a sent message."""

    __slots__ = ("_inner",)

    def __init__(self, inner: _hikyaku.Receipt | _hikyaku.Receipts) -> None:
        self._inner = inner

    async def acknowledged(self) -> None:
        """Waits until the peer has the message; raises NotDelivered if it was not acknowledged."""
        bridge = _bridge()
        await bridge.future(
            lambda token: self._inner._when_acknowledged(bridge.wakeups, token)
        )

    def __repr__(self) -> str:
        return repr(self._inner)


class Connection:
    """A connection to a peer: an async context manager, and an async iterator of messages."""

    __slots__ = ("_inner", "_bridge", "_ready", "_waiters", "__weakref__")

    def __init__(self, inner: _hikyaku._Connection) -> None:
        self._inner = inner
        self._bridge = _bridge()
        self._ready: deque[Message] = deque()
        self._waiters: deque[asyncio.Future[None]] = deque()
        inner._pump(self._bridge.wakeups, self._bridge.reader(self))

    def _on_readable(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)

    async def send(
        self, data: Data, *, delivery: Delivery = ORDERED, channel: int = 0
    ) -> Receipt:
        """Queues a message, and waits while the queue is full."""
        receipt = self._inner._try_send(data, delivery, channel)
        if receipt is None:
            receipt = await self._bridge.future(
                lambda token: self._inner._send_later(
                    self._bridge.wakeups, token, data, delivery, channel
                )
            )
        return Receipt(receipt)

    async def send_many(
        self, messages: Iterable[Data], *, delivery: Delivery = ORDERED, channel: int = 0
    ) -> list[Receipt]:
        """Queues many messages, in order."""
        return [
            await self.send(data, delivery=delivery, channel=channel) for data in messages
        ]

    async def recv(self) -> Message:
        """Returns the next message; raises Closed when the connection is over."""
        while not self._ready:
            taken = self._inner._take(256)
            if taken:
                self._ready.extend(taken)
                break
            waiter = self._bridge._loop.create_future()
            self._waiters.append(waiter)
            await waiter
        return self._ready.popleft()

    async def recv_many(self, limit: int = 1_000) -> list[Message]:
        """Waits for a message, and returns up to `limit` of those that are there."""
        messages = [await self.recv()]
        while self._ready and len(messages) < limit:
            messages.append(self._ready.popleft())
        if len(messages) < limit and not self._inner.closed:
            messages.extend(self._inner._take(limit - len(messages)))
        return messages

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    async def __anext__(self) -> Message:
        try:
            return await self.recv()
        except Closed as closed:
            if closed.graceful:
                raise StopAsyncIteration from None
            raise

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
        """Ends the connection at once."""
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

    def __init__(self, begin: Callable[[_Bridge, int], None]) -> None:
        self._begin = begin
        self._connection: Connection | None = None

    async def _connect(self) -> Connection:
        bridge = _bridge()
        connection: Connection = await bridge.future(lambda token: self._begin(bridge, token))
        return connection

    def __await__(self) -> Generator[Any, None, Connection]:
        return self._connect().__await__()

    async def __aenter__(self) -> Connection:
        self._connection = await self._connect()
        return self._connection

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        if self._connection is not None:
            await self._connection.__aexit__(kind, error, trace)


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
) -> _Connecting:
    """Connects to a server, as `hikyaku.connect` does: ``await`` it, or ``async with`` it."""
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

    def begin(bridge: _Bridge, token: int) -> None:
        _hikyaku._connect_later(
            bridge.wakeups, token, address, keys, timeout, options, Connection
        )

    return _Connecting(begin)


class Server:
    """Accepts connections: an async iterator of them, and an async context manager."""

    __slots__ = ("_inner", "_closed")

    def __init__(self, inner: _hikyaku._Server) -> None:
        self._inner = inner
        self._closed = False

    async def accept(self) -> Connection:
        """Waits for the next connection."""
        bridge = _bridge()
        accepted = await bridge.future(
            lambda token: self._inner._when_accepted(bridge.wakeups, token)
        )
        if accepted is None:
            raise Closed("the server is closed")
        return Connection(accepted)

    def __aiter__(self) -> AsyncIterator[Connection]:
        return self

    async def __anext__(self) -> Connection:
        try:
            return await self.accept()
        except Closed:
            raise StopAsyncIteration from None

    async def close(self, timeout: float = CLOSE_TIMEOUT) -> None:
        """Closes all connections, each within `timeout` seconds, and the socket."""
        if not self._closed:
            self._closed = True
            bridge = _bridge()
            await bridge.future(
                lambda token: self._inner._when_closed(bridge.wakeups, token, timeout)
            )

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens, as (host, port)."""
        return self._inner.address

    @property
    def fingerprint(self) -> str:
        """The fingerprint of its key: ``SHA256:...``."""
        return self._inner.fingerprint

    async def __aenter__(self) -> Server:
        return self

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        await self.close(CLOSE_TIMEOUT if kind is None else 0.5)

    def __repr__(self) -> str:
        return repr(self._inner)


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
    """Opens a server, as `hikyaku.listen` does."""
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
