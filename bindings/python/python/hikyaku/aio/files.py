"""Files and folders over a connection, for asyncio; see `hikyaku.files`.

::

    async with hikyaku.connect("192.0.2.2", trust="SHA256:...") as peer:
        await hikyaku.files.send(peer, "photo.jpg")

    async for file in hikyaku.files.receive(peer, "inbox"):
        print(file.path)

What waits for a disk runs in the loop's default executor.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from .._options import Path
from .._transfer import (
    CHANNEL,
    Accept,
    NotSaved,
    Offer,
    Progress,
    Received,
    Report,
    Sent,
    receiving,
    run_async,
    sending,
)
from ..files import SILENT
from . import Closed, Connection

__all__ = ["CHANNEL", "NotSaved", "Offer", "Progress", "Received", "Sent", "receive", "send"]


def _call(function: Callable[[], Any]) -> Awaitable[Any]:
    return asyncio.get_running_loop().run_in_executor(None, function)


async def send(
    peer: Connection, *paths: Path, progress: Report = None, timeout: float | None = 60.0
) -> list[Sent]:
    """Sends files, and folders with all that is in them; returns when they are on the other disk.

    `progress` is called with a `Progress` for each piece. Raises NotSaved if a file is refused, and
    TimeoutError when the other side does not answer for `timeout` seconds.
    """
    channel = peer.channel(CHANNEL)

    async def do(kind: str, value: Any) -> Any:
        try:
            if kind == "send":
                return await asyncio.wait_for(channel.send(value), timeout)
            if not value:
                message = channel.try_recv()
            else:
                message = await asyncio.wait_for(channel.recv(), timeout)
        except asyncio.TimeoutError:
            raise TimeoutError(SILENT.format(timeout)) from None
        return None if message is None else message.data

    async for results in run_async(sending(paths, progress), do, _call):
        sent: list[Sent] = results
    return sent


async def receive(
    peer: Connection, folder: Path, *, progress: Report = None, accept: Accept = None
) -> AsyncIterator[Received]:
    """Saves files in `folder`, and yields each one that is there, until the peer closes.

    `accept` is called with an `Offer` before anything of it comes; what it returns, other than True,
    refuses the file, a text as the reason.
    """
    channel = peer.channel(CHANNEL)

    async def do(kind: str, value: Any) -> Any:
        if kind == "send":
            return await channel.send(value)
        try:
            return (await channel.recv()).data
        except Closed as closed:
            if closed.graceful:
                return None
            raise

    side = receiving(folder, peer.peer_key, progress, accept)
    async for file in run_async(side, do, _call):
        if file is not None:
            yield file
