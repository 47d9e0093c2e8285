"""What connects an event loop to the thread that runs the connections."""

from __future__ import annotations

import asyncio
import itertools
import select
import threading
import weakref
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

from .. import _hikyaku

#: How often the thread of a loop without `add_reader` looks whether the loop is still there.
_LOOK = 1.0

_T = TypeVar("_T")


class _Reading(Protocol):
    def on_readable(self) -> None: ...


class Bridge:
    """The results for one event loop: one wake-up for each batch of them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self.wakeups = _hikyaku.Wakeups()
        self._tokens = itertools.count(1)
        self._futures: dict[int, asyncio.Future[Any]] = {}
        self._readers: weakref.WeakValueDictionary[int, _Reading] = weakref.WeakValueDictionary()
        try:
            loop.add_reader(self.wakeups.fileno(), self.on_results)
        except NotImplementedError:
            watcher = threading.Thread(
                target=_watch, args=(weakref.ref(self), self._loop), name="hikyaku-loop", daemon=True
            )
            watcher.start()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop, which is there as long as something runs in it."""
        loop = self._loop()
        if loop is None:
            raise RuntimeError("the event loop of this connection is gone")
        return loop

    def future(self, begin: Callable[[int], None]) -> asyncio.Future[Any]:
        """Begins something, and returns the future of its result."""
        token = next(self._tokens)
        future = self.loop.create_future()
        self._futures[token] = future
        try:
            begin(token)
        except BaseException:
            del self._futures[token]
            raise
        return future

    async def result(self, begin: Callable[[int], _T | None]) -> _T:
        """Begins something, and returns its result: at once if it is done, or when it is reported."""
        token = next(self._tokens)
        result = begin(token)
        if result is None:
            # Reports are handed out by this thread: none has been missed.
            future = self._futures[token] = self.loop.create_future()
            result = await future
        return cast(_T, result)

    def reader(self, reading: _Reading) -> int:
        """Returns a token: `reading` is notified when messages come."""
        token = next(self._tokens)
        self._readers[token] = reading
        return token

    def on_results(self) -> None:
        """Hands out what has come."""
        for token, value, error in self.wakeups.drain():
            future = self._futures.pop(token, None)
            if future is None:
                reading = self._readers.get(token)
                if reading is not None:
                    reading.on_readable()
            elif not future.done():
                if error is None:
                    future.set_result(value)
                else:
                    future.set_exception(error)


def _watch(
    bridge: weakref.ref[Bridge], loop: weakref.ref[asyncio.AbstractEventLoop]
) -> None:
    """Calls `on_results` in a loop that cannot watch a socket, once for each batch."""
    handled = threading.Event()

    def hand_out() -> None:
        there = bridge()
        if there is not None:
            there.on_results()
        handled.set()

    while True:
        there, running = bridge(), loop()
        if there is None or running is None or running.is_closed():
            return
        wakeups = there.wakeups
        del there, running
        if not select.select([wakeups.fileno()], [], [], _LOOK)[0]:
            continue
        running = loop()
        handled.clear()
        try:
            if running is not None:
                running.call_soon_threadsafe(hand_out)
        except RuntimeError:
            return  # It has been closed.
        del running
        while not handled.wait(_LOOK):
            running = loop()
            if running is None or running.is_closed():
                return


_bridges: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Bridge] = (
    weakref.WeakKeyDictionary()
)


def bridge() -> Bridge:
    """Returns the bridge of the running loop."""
    loop = asyncio.get_running_loop()
    found = _bridges.get(loop)
    if found is None:
        found = _bridges[loop] = Bridge(loop)
    return found
