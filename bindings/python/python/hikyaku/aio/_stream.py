"""A channel as one ordered stream of bytes in each direction, for asyncio."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, NoReturn, TypeVar

from .. import _wrong
from ._bridge import Bridge

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from . import Connection

#: Bytes that one call reads where all are wanted.
_CHUNK = 65_536

_T = TypeVar("_T")


class Waiters:
    """Tasks that wait until something can be read or written."""

    __slots__ = ("_loop", "_waiting", "__weakref__")

    def __init__(self, loop: Bridge) -> None:
        self._loop = loop.loop
        self._waiting: deque[asyncio.Future[None]] = deque()

    def on_readable(self) -> None:
        """Wakes all of them."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)

    async def until(self, attempt: Callable[[], _T | None]) -> _T:
        """Waits until an attempt has a result, and returns it."""
        while (result := attempt()) is None:
            waiter = self._loop.create_future()
            self._waiting.append(waiter)
            await waiter
        return result


class ByteStream:
    """A channel as a stream of bytes: see `Channel.stream`. An iterator of what comes.

    The bytes travel in order, and both sides use the channel as a stream and for nothing else.
    Reading returns ``b""`` at the peer's end of the stream alone, and raises Closed if the
    connection ended before that. The end of an ``async with`` block sends the end of the stream,
    unless an exception ends the block. A call that is cancelled loses no bytes that come.
    """

    __slots__ = ("_connection", "_inner", "_number", "_reading", "_writing")

    def __init__(self, connection: Connection, number: int) -> None:
        loop = connection._bridge
        self._connection, self._number = connection, number
        self._reading, self._writing = Waiters(loop), Waiters(loop)
        tokens = (loop.reader(self._reading), loop.reader(self._writing))
        self._inner = connection._inner._loop_byte_stream(loop.wakeups, tokens, number)

    async def read(self, size: int = -1) -> bytes:
        """Waits for bytes, and returns up to `size` of them; without `size`, all up to the end."""
        if size >= 0:
            return await self._reading.until(lambda: self._inner.read(size))
        return b"".join([part async for part in self])

    async def readexactly(self, size: int) -> bytes:
        """Returns `size` bytes. Raises `asyncio.IncompleteReadError` at the end of the stream."""
        whole = bytearray()
        while len(whole) < size:
            part = await self.read(size - len(whole))
            if not part:
                raise asyncio.IncompleteReadError(bytes(whole), size)
            whole += part
        return bytes(whole)

    async def write(self, data: Buffer) -> None:
        """Waits until all of `data` is queued."""
        whole = data if isinstance(data, bytes) else bytes(memoryview(data))
        start = 0
        while start < len(whole):
            start += await self._writing.until(lambda: self._inner.write(whole, start))

    async def flush(self) -> None:
        """Waits until all bytes are queued."""
        await self._writing.until(self._inner.flush)

    async def shutdown(self) -> None:
        """Sends the end of the stream, and waits until the peer has all of it."""
        await self._writing.until(self._inner.shutdown)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        part = await self.read(_CHUNK)
        if not part:
            raise StopAsyncIteration
        return part

    async def __aenter__(self) -> ByteStream:
        return self

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            await self.shutdown()

    def __enter__(self) -> NoReturn:
        _wrong.async_in_blocking()

    def __exit__(self, *_: object) -> None: ...

    def __repr__(self) -> str:
        return f"<byte stream on channel {self._number} of {self._connection!r}>"
