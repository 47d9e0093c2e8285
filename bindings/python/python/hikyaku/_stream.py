"""A channel as a file: one ordered stream of bytes in each direction."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from . import Connection

#: Bytes that one call reads where all are wanted.
_CHUNK = 65_536


class ByteStream(io.RawIOBase):
    """A channel as a binary file, for code that reads and writes files: see `Channel.stream`.

    The bytes travel in order, and both sides use the channel as a stream and for nothing else.

    - `write` returns when all of its bytes are queued.
    - `read` returns ``b""`` at the peer's end of the stream alone. Raises Closed if the connection
      ended before that, so that what was cut short is never taken for whole.
    - `shutdown` sends the end, and waits until the peer has all of it; `read` goes on. `close` and
      the end of a ``with`` block do so too, unless an exception ends the block.

    `io.TextIOWrapper(io.BufferedRWPair(stream, stream))` makes lines of text of it.
    """

    #: How long a call may wait, in seconds. TimeoutError is raised then.
    timeout: float | None

    def __init__(self, connection: Connection, number: int, timeout: float | None = None) -> None:
        self._connection = connection
        self._number = number
        self._inner = connection._inner._byte_stream(number)
        self._ended = False
        self.timeout = timeout

    def readable(self) -> bool:
        """Returns True."""
        return True

    def writable(self) -> bool:
        """Returns True."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Waits for bytes, and returns up to `size` of them; without `size`, all up to the end."""
        self._check()
        if size is None or size < 0:
            return self.readall()
        return self._inner.read(size, self.timeout)

    def readall(self) -> bytes:
        """Returns all bytes up to the end of the stream."""
        self._check()
        parts = []
        while part := self._inner.read(_CHUNK, self.timeout):
            parts.append(part)
        return b"".join(parts)

    def readinto(self, buffer: Buffer, /) -> int:
        """Waits for bytes, fills the beginning of `buffer`, and returns how many there are."""
        self._check()
        view = memoryview(buffer).cast("B")
        data = self._inner.read(len(view), self.timeout)
        view[: len(data)] = data
        return len(data)

    def write(self, data: Buffer, /) -> int:
        """Queues all of `data`, and returns its length."""
        self._check()
        whole = data if isinstance(data, bytes) else bytes(memoryview(data))
        self._inner.write(whole, self.timeout)
        return len(whole)

    def flush(self) -> None:
        """Waits until all bytes are queued."""
        if not self._ended:
            self._check()
            self._inner.flush(self.timeout)

    def shutdown(self) -> None:
        """Sends the end of the stream, and waits until the peer has all of it."""
        self._check()
        self._inner.shutdown(self.timeout)

    def close(self) -> None:
        """Sends the end of the stream as `shutdown` does; nothing more is read. Twice is once."""
        if self.closed:
            return
        try:
            self._inner.shutdown(self.timeout)
        finally:
            self._drop()

    def _drop(self) -> None:
        self._ended = True  # `IOBase.close` flushes.
        super().close()

    def _check(self) -> None:
        if self.closed:
            raise ValueError("this stream is closed")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self.close()
        else:
            # The peer must not take it for whole.
            self._drop()

    def __del__(self) -> None:
        # The base class would send the end, and wait.
        if not self.closed:
            warnings.warn(f"unclosed {self!r}: use `with`, or close()", ResourceWarning, source=self)

    def __repr__(self) -> str:
        return f"<byte stream on channel {self._number} of {self._connection!r}>"
