"""Both sides of a file transfer, for a thread or an event loop to run.

A side is a generator of effects, and receives their results::

    ("send", payload)    queue a message on the channel for files
    ("recv", wait)       the next message of it; with wait=False, None if there is none
    ("call", function)   what may wait for a disk
    ("file", received)   hand a file to the program
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from functools import partial
from typing import Any, BinaryIO, NamedTuple, Optional, Union

from . import Error, _hikyaku
from ._options import Path

try:
    import fcntl
except ImportError:  # pragma: no cover
    fcntl = None  # type: ignore[assignment]

#: The channel that files take.
CHANNEL = 65_535

#: Bytes of a file in one message.
_CHUNK = 65_536

#: A file of this length is offered first, to skip what the other side has; shorter ones are sent at
#: once, since the answer would take longer.
_WORTH_ASKING = 1_048_576

#: Folders in the name of a file that comes in.
_MAX_DEPTH = 32

Effect = tuple[str, Any]


class Progress(NamedTuple):
    """How far a file is."""

    #: Its name, as the sender has it.
    name: str
    #: The bytes that are done, with those that were there already.
    done: int
    #: All bytes of it.
    size: int


class Offer(NamedTuple):
    """A file that the peer offers."""

    #: Its name, as the sender has it: never a path to open.
    name: str
    #: Its length in bytes.
    size: int


class Sent(NamedTuple):
    """What became of a file that was sent."""

    #: The file.
    path: str
    #: Its name at the other side, or None if it is not saved.
    name: str | None
    #: Its length in bytes.
    size: int
    #: The bytes that the other side had already.
    skipped: int
    #: Why it is not saved, or None.
    error: str | None


class Received(NamedTuple):
    """A file that has been saved."""

    #: Where it is.
    path: str
    #: Its name, as the sender has it.
    name: str
    #: Its length in bytes.
    size: int
    #: The bytes that were there from an earlier attempt.
    skipped: int


class NotSaved(Error):
    """Files are not saved at the other side; `results` says which, and why."""

    results: list[Sent]


Report = Optional[Callable[[Progress], object]]
Accept = Optional[Callable[[Offer], Union[bool, str]]]


Side = Generator[Effect, Any, Any]


def run(side: Side, do: Callable[[str, Any], Any]) -> Generator[Received, None, Any]:
    """Runs a side in this thread; yields the files that it saves, and returns its result."""
    result, error = None, None
    try:
        while True:
            try:
                kind, value = side.send(result) if error is None else side.throw(error)
            except StopIteration as end:
                return end.value
            result, error = None, None
            if kind == "file":
                yield value
            elif kind == "call":
                try:
                    result = value()
                except Exception as failed:
                    error = failed
            else:
                result = do(kind, value)
    finally:
        side.close()


async def run_async(
    side: Side,
    do: Callable[[str, Any], Awaitable[Any]],
    call: Callable[[Callable[[], Any]], Awaitable[Any]],
) -> AsyncGenerator[Any, None]:
    """Runs a side in an event loop; yields the files that it saves, and last its result."""
    result, error = None, None
    try:
        while True:
            try:
                kind, value = side.send(result) if error is None else side.throw(error)
            except StopIteration as end:
                yield end.value
                return
            result, error = None, None
            if kind == "file":
                yield value
            elif kind == "call":
                try:
                    result = await call(value)
                except Exception as failed:
                    error = failed
            else:
                result = await do(kind, value)
    finally:
        side.close()


class _Source(NamedTuple):
    path: str
    name: str
    size: int
    mode: int


def _sources(paths: tuple[Path, ...]) -> Iterator[_Source]:
    for given in paths:
        path = os.path.abspath(os.fspath(given))
        if not os.path.isdir(path):
            yield _source(path, os.path.basename(path))
            continue
        above = os.path.dirname(path)
        for folder, folders, files in os.walk(path):
            folders.sort()
            for file in sorted(files):
                inside = os.path.join(folder, file)
                if os.path.isfile(inside):
                    yield _source(inside, os.path.relpath(inside, above).replace(os.sep, "/"))


def _source(path: str, name: str) -> _Source:
    about = os.stat(path)
    if not stat.S_ISREG(about.st_mode):
        raise ValueError(f"{path}: only files and folders are sent")
    with open(path, "rb"):
        pass  # One that cannot be read is an error before anything is sent.
    return _Source(path, name, about.st_size, stat.S_IMODE(about.st_mode) & 0o777)


def sending(paths: tuple[Path, ...], report: Report) -> Generator[Effect, Any, list[Sent]]:
    """Sends files and folders; returns what became of each file."""
    if not paths:
        raise ValueError("no file to send: pass the path of a file or a folder")
    sources: list[_Source] = yield "call", lambda: list(_sources(paths))
    answers = _hikyaku._FilesOut(len(sources))
    skipped = []
    for number, source in enumerate(sources):
        skipped.append((yield from _send_one(number, source, answers, report)))
    while not answers.is_settled:
        answers.handle((yield "recv", True))
    results = []
    for number, source in enumerate(sources):
        state, text, _, _ = answers.standing(number)
        saved = state == "saved"
        results.append(
            Sent(
                source.path,
                text if saved else None,
                source.size,
                skipped[number],
                None if saved else text,
            )
        )
    missing = [one for one in results if one.error is not None]
    if missing:
        error = NotSaved(
            f"{len(missing)} of {len(results)} files are not saved: "
            f"{missing[0].path}: {missing[0].error}"
        )
        error.results = results
        raise error
    return results


def _send_one(
    number: int, source: _Source, answers: _hikyaku._FilesOut, report: Report
) -> Generator[Effect, Any, int]:
    ask = source.size >= _WORTH_ASKING
    yield "send", _hikyaku._offer(number, source.name, source.size, source.mode, ask)
    file: BinaryIO = yield "call", lambda: open(source.path, "rb")
    with file:
        start = 0
        if ask:
            while answers.standing(number)[0] == "open":
                answers.handle((yield "recv", True))
            _, _, have, digest = answers.standing(number)
            if 0 < have <= source.size:
                same: bool = yield "call", lambda: _digest(file, have) == digest
                if same:
                    start = have
                    yield "send", _hikyaku._answer("start", number, number=have)
        done = start
        yield "call", lambda: file.seek(start)
        while True:
            chunk: bytes = yield "call", lambda: file.read(_CHUNK)
            if not chunk or done + len(chunk) > source.size:
                break
            yield "send", b"D" + chunk
            done += len(chunk)
            if report is not None:
                report(Progress(source.name, done, source.size))
            while (answer := (yield "recv", False)) is not None:
                answers.handle(answer)
            if answers.standing(number)[0] == "refused":
                break
    if done == source.size and not chunk:
        yield "send", _hikyaku._answer("end", number)
        return start
    reason = "it changed while it was sent"
    answers.give_up(number, reason)
    yield "send", _hikyaku._answer("abort", number, reason)
    return start


def _digest(file: BinaryIO, length: int) -> str:
    """Returns the SHA-256 of the beginning of a file."""
    file.seek(0)
    sha, left = hashlib.sha256(), length
    while left and (chunk := file.read(min(left, 1 << 20))):
        sha.update(chunk)
        left -= len(chunk)
    return sha.hexdigest() if left == 0 else ""


class _Refused(Exception):
    """A file is not taken; the text is for the sender."""


class _Pending:
    """A file that is coming in, beside where it will be."""

    def __init__(self, folder: str, peer: str, offer: Offer, number: int, mode: int | None) -> None:
        self.offer, self.number = offer, number
        self.path = _place(folder, offer.name)
        of = f"{peer}\n{offer.name}\n{offer.size}"
        mark = hashlib.sha256(of.encode(errors="surrogatepass")).hexdigest()[:32]
        self.part = os.path.join(folder, f".hikyaku-{mark}.part")
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        self.file = os.fdopen(os.open(self.part, flags, 0o600), "r+b")
        if fcntl is not None:
            try:
                fcntl.flock(self.file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                self.file.close()
                raise _Refused("it is coming in already") from None
        self.mode = 0o666 if mode is None else mode
        self.done = self.skipped = 0
        self.begun = False

    def there(self) -> tuple[int, str]:
        """Returns what an earlier attempt left, and its digest."""
        length = os.fstat(self.file.fileno()).st_size
        if length > self.offer.size:
            length = 0
        return length, _digest(self.file, length) if length else ""

    def begin(self, at: int) -> None:
        """Keeps the first `at` bytes of what is there."""
        self.file.seek(at)
        self.file.truncate()
        self.done = self.skipped = at
        self.begun = True

    def write(self, data: memoryview) -> None:
        """Adds bytes; what is there is no use if the sender does not skip it."""
        if not self.begun:
            self.begin(0)
        self.file.write(data)

    def keep(self) -> None:
        """Gives the file its name, where nothing has that name."""
        if not self.begun:
            self.begin(0)
        self.file.flush()
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(self.part, (self.mode & 0o777 | 0o600) & ~mask)
        os.fsync(self.file.fileno())
        try:
            os.link(self.part, self.path, follow_symlinks=False)
            os.unlink(self.part)
        except FileExistsError:
            raise _Refused(f"{os.path.basename(self.path)} exists there already") from None
        except OSError:
            # A disk without hard links.
            if os.path.lexists(self.path):
                raise _Refused(f"{os.path.basename(self.path)} exists there already") from None
            os.rename(self.part, self.path)
        self.file.close()
        folder = os.open(os.path.dirname(self.path), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def drop(self) -> None:
        """Discards what came."""
        self.file.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.part)

    def leave(self) -> None:
        """Keeps what came for the next attempt, if it is worth it."""
        if self.offer.size >= _WORTH_ASKING and self.done:
            self.file.close()
        else:
            self.drop()


def _place(folder: str, name: str) -> str:
    """Returns where a file with this name is saved; makes the folders above it."""
    given = [part for part in name.split("/") if part not in ("", ".")]
    parts = [_hikyaku._safe_name(part) for part in given]
    if not parts or len(parts) > _MAX_DEPTH or None in parts:
        raise _Refused("its name is not a valid file name")
    path = folder
    for part in parts[:-1]:
        path = os.path.join(path, str(part))
        if os.path.islink(path) or (os.path.lexists(path) and not os.path.isdir(path)):
            raise _Refused(f"{part} is no folder there")
        os.makedirs(path, exist_ok=True)
    path = os.path.join(path, str(parts[-1]))
    if os.path.lexists(path):
        raise _Refused(f"{parts[-1]} exists there already")
    return path


def receiving(
    folder: Path, peer: str, report: Report, accept: Accept
) -> Generator[Effect, Any, None]:
    """Saves files in a folder until the connection ends: complete or not at all."""
    where = os.path.realpath(os.fspath(folder))
    if not os.path.isdir(where):
        raise NotADirectoryError(f"{os.fspath(folder)}: no such folder; os.makedirs makes it")
    side, pending = _hikyaku._FilesIn(), None
    try:
        while (message := (yield "recv", True)) is not None:
            step, opened, number, reason = side.handle(message)
            try:
                if step == "open":
                    assert opened is not None
                    pending = yield from _open(side, where, peer, opened, accept)
                elif step == "continue" and pending is not None:
                    yield "call", partial(pending.begin, number)
                elif step == "write" and pending is not None:
                    data = memoryview(message)[1:]
                    yield "call", partial(pending.write, data)
                    pending.done += len(data)
                    if report is not None:
                        report(Progress(pending.offer.name, pending.done, pending.offer.size))
                elif step == "finish" and pending is not None:
                    yield "call", pending.keep
                    saved, pending = pending, None
                    shown = os.path.relpath(saved.path, where).replace(os.sep, "/")
                    yield "send", _hikyaku._answer("saved", number, shown)
                    yield "file", Received(saved.path, *saved.offer, saved.skipped)
                elif step == "drop":
                    if pending is not None:
                        pending.drop()
                        pending = None
                    if reason is not None:
                        yield "send", _hikyaku._answer("refuse", number, reason)
            except (OSError, _Refused) as error:
                why = str(error) if isinstance(error, _Refused) else str(error.strerror)
                refused = opened[0] if opened else pending.number if pending else number
                if pending is not None:
                    pending.drop()
                    pending = None
                side.refuse()
                yield "send", _hikyaku._answer("refuse", refused, why)
    finally:
        if pending is not None:
            pending.leave()


def _open(
    side: _hikyaku._FilesIn,
    folder: str,
    peer: str,
    opened: tuple[int, str, int, int | None, bool],
    accept: Accept,
) -> Generator[Effect, Any, _Pending]:
    number, name, size, mode, resume = opened
    offer = Offer(name, size)
    answer = True if accept is None else accept(offer)
    if answer is not True:
        raise _Refused(answer if isinstance(answer, str) else "it is not wanted")
    pending: _Pending = yield "call", lambda: _Pending(folder, peer, offer, number, mode)
    try:
        have, digest = (yield "call", pending.there) if resume else (0, "")
        side.has(have)
        if not have:
            pending.begin(0)
    except OSError:
        pending.drop()
        raise
    yield "send", _hikyaku._answer("accept", number, digest, have)
    return pending
