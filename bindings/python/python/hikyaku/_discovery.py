"""Servers on the local network, announced and found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _hikyaku

if TYPE_CHECKING:
    from . import Address

#: How long a search takes, in seconds, where nothing else is said.
SEARCH_TIME = 1.5


class Host(NamedTuple):
    """A server that was found. Anybody can announce anything: connecting checks the key::

        hikyaku.connect(host.address, trust=host.fingerprint)
    """

    #: The application that it was searched for by.
    application: str
    #: Its name.
    name: str
    #: What it is for, or an empty string.
    room: str
    #: The fingerprint of the key that it claims to have: ``SHA256:...``.
    fingerprint: str
    #: How many are connected, if it says so.
    members: int | None
    #: Whether it says that clients need a shared key or an invite.
    needs_key: bool
    #: Where it may be reached, as sockets have it, the best first.
    addresses: list[tuple[str, int]]

    @property
    def address(self) -> tuple[str, int]:
        """The best of its addresses."""
        return self.addresses[0]


class Announcement:
    """A server that is announced on the local network until `stop`: a context manager."""

    __slots__ = ("_inner", "_waits")

    def __init__(self, inner: _hikyaku._Advertiser, waits: bool) -> None:
        self._inner, self._waits = inner, waits

    def stop(self) -> None:
        """Ends the announcement: at once, or soon after in asyncio. Stopping twice does nothing."""
        self._inner.stop(self._waits)

    def __enter__(self) -> Announcement:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def wanted(
    application: str,
    name: str | None,
    timeout: float,
    targets: Sequence[tuple[str, int]] | None,
    mdns: bool,
) -> tuple[Any, ...]:
    """Returns what to search for, as the native module takes it."""
    if targets is None:
        return application, name, timeout, None, mdns
    texts = [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in targets]
    return application, name, timeout, texts, mdns


def hosts(found: list[tuple[Any, ...]]) -> list[Host]:
    """Returns what was found."""
    return [Host(*host) for host in found]
