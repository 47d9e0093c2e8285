"""What `connect` and `listen` take by name, once for both faces."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypedDict, Union

from ._discovery import Host
from ._hikyaku import Invite

if TYPE_CHECKING:
    from . import Address, Destination

Path = Union[str, "os.PathLike[str]"]


class Transport(TypedDict, total=False):
    """Timeouts in seconds, sizes in bytes. Both ends have their own; what is left out is as in Rust."""

    #: Silence after which the connection ends, in seconds; ``math.inf`` for never.
    idle_timeout: float
    #: Silence after which a ping is sent, in seconds, at least 0.1.
    keep_alive: float
    #: ``"bbr"`` or ``"cubic"``.
    congestion: str
    #: The largest message that is accepted.
    max_message: int
    #: What may wait to be sent and acknowledged.
    send_queue: int
    #: Ordered and reliable messages that the peer may send before they are received.
    credit: int
    #: The same for each channel.
    channel_credit: int
    #: What may wait of the other classes.
    pool: int
    #: The largest UDP payload to send.
    max_mtu: int
    #: How long an acknowledgement may wait, in seconds.
    max_ack_delay: float


class Options(TypedDict, total=False):
    """What connections of both directions have in common."""

    #: The path of an OpenSSH private key (Ed25519). Without it, the key of the hikyaku command,
    #: which is made if there is none.
    identity: Path | None
    #: The passphrase of that key.
    passphrase: str | None
    #: A file with a key that both sides have: nobody else gets in.
    shared_key: Path | None
    #: Rules for addresses, such as ``("allow", "192.0.2.0/24")`` or ``("deny", "192.0.2.7")``.
    filter: Sequence[tuple[str, str]] | None
    #: A name for what both sides speak; see `Connection.shares_application`.
    application: str | None
    #: The largest number of connections at a time.
    max_connections: int | None
    #: What all connections together may hold of messages that nobody has received, in bytes.
    hold_together: int | None
    #: The network interface to use, by its name.
    interface: str | None
    #: Whether several sockets may have the port.
    shared_port: bool
    #: A file to which the keys of connections are written, for Wireshark.
    key_log: Path | None
    #: The largest message that is accepted, in bytes.
    max_message: int | None
    #: Silence after which the connection ends, in seconds; ``math.inf`` for never.
    idle_timeout: float | None
    #: ``"bbr"`` or ``"cubic"``.
    congestion: str | None
    #: Timeouts and sizes; see `Transport`.
    transport: Transport | None


class ServerOptions(Options, total=False):
    """What a server can have besides."""

    #: A file of public keys, as ``authorized_keys``: nobody else gets in.
    allow: Path | None
    #: When clients have to prove their address first, which costs a round trip: ``"never"``,
    #: ``"under load"`` or ``"always"``.
    retry: str | None


_PLAIN = (
    "identity", "passphrase", "shared_key", "allow", "filter", "application", "max_connections",
    "hold_together", "retry", "interface", "key_log",
)  # fmt: skip
_TRANSPORT = tuple(Transport.__annotations__)
_SHORT = ("max_message", "idle_timeout", "congestion")


def complete(where: str, given: Any) -> dict[str, Any]:
    """Returns all options of a call, checked by their names."""
    known = [*Options.__annotations__, *(("allow", "retry") if where == "listen" else ())]
    for name in given:
        if name not in known:
            raise TypeError(f"{where}() has no option {name!r}; it has: {', '.join(sorted(known))}")
    transport = dict(given.get("transport") or {})
    for name in transport:
        if name not in _TRANSPORT:
            raise TypeError(f"transport has no {name!r}; it has: {', '.join(sorted(_TRANSPORT))}")
    for name in _SHORT:
        if given.get(name) is not None:
            transport[name] = given[name]
    options: dict[str, Any] = {name: given.get(name) for name in _PLAIN}
    options["shared_port"] = bool(given.get("shared_port", False))
    options["transport"] = {name: transport.get(name) for name in _TRANSPORT}
    if options["filter"] is not None:
        options["filter"] = list(options["filter"])
    return options


def destination(
    to: Destination, trust: str | Sequence[str] | None, options: dict[str, Any]
) -> tuple[list[Address], str | list[str] | None]:
    """Returns the addresses of a server and whom to trust; adds the key of an invite to `options`."""
    if isinstance(to, str) and to.lower().lstrip().startswith("hikyaku://"):
        to = Invite.parse(to)
    if isinstance(to, (Host, Invite)):
        if isinstance(to, Invite) and to.has_shared_key and options["shared_key"] is None:
            options["shared_key"] = to
        return list(to.addresses), trusted(to.fingerprint if trust is None else trust)
    return [to], trusted(trust)


def trusted(trust: str | Sequence[str] | None) -> str | list[str] | None:
    """Returns whom to trust, as the native module takes it."""
    return trust if trust is None or isinstance(trust, str) else list(trust)
