"""Files and folders over a connection.

::

    with hikyaku.connect("192.0.2.2", trust="SHA256:...") as peer:
        hikyaku.files.send(peer, "photo.jpg", "letters/")

    with hikyaku.listen() as server:
        for file in hikyaku.files.receive(server.accept(), "inbox"):
            print(file.path, file.size)

A file is saved complete, and synced, or not at all; never over another, never outside of the folder,
whatever its sender calls it. What an interrupted transfer has left is not sent again. Files take
channel 65535, one direction at a time; messages on other channels go on. The other side may be the
command: ``hikyaku send --file``, ``hikyaku listen --save``.

`hikyaku.aio.files` has the same names for asyncio.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from . import ORDERED, Closed, Connection
from ._options import Path
from ._transfer import (
    CHANNEL,
    Accept,
    NotSaved,
    Offer,
    Progress,
    Received,
    Report,
    Sent,
    receiving,
    run,
    sending,
)

__all__ = ["CHANNEL", "NotSaved", "Offer", "Progress", "Received", "Sent", "receive", "send"]

SILENT = (
    "the other side has not answered for {} seconds: it takes files with hikyaku.files.receive(...) "
    "or `hikyaku listen --save`"
)


def send(
    peer: Connection, *paths: Path, progress: Report = None, timeout: float | None = 60.0
) -> list[Sent]:
    """Sends files, and folders with all that is in them; returns when they are on the other disk.

    `progress` is called with a `Progress` for each piece. Raises NotSaved if a file is refused, and
    TimeoutError when the other side does not answer for `timeout` seconds.
    """

    def do(kind: str, value: Any) -> Any:
        try:
            if kind == "send":
                return peer._inner._send(value, ORDERED, CHANNEL, timeout)
            message = peer._inner._recv(CHANNEL, timeout) if value else peer._inner._try_recv(CHANNEL)
        except TimeoutError:
            raise TimeoutError(SILENT.format(timeout)) from None
        return None if message is None else message.data

    running = run(sending(paths, progress), do)
    try:
        next(running)
    except StopIteration as end:
        results: list[Sent] = end.value
        return results
    raise AssertionError("a sender yields no files")


def receive(
    peer: Connection, folder: Path, *, progress: Report = None, accept: Accept = None
) -> Iterator[Received]:
    """Saves files in `folder`, and yields each one that is there, until the peer closes.

    `accept` is called with an `Offer` before anything of it comes; what it returns, other than True,
    refuses the file, a text as the reason.
    """

    def do(kind: str, value: Any) -> Any:
        if kind == "send":
            return peer._inner._send(value, ORDERED, CHANNEL, None)
        try:
            return peer._inner._recv(CHANNEL, None).data
        except Closed as closed:
            if closed.graceful:
                return None
            raise

    return run(receiving(folder, peer.peer_key, progress, accept), do)
