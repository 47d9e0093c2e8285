"""What statistics contain."""

from __future__ import annotations

from typing import TypedDict


class ConnectionStats(TypedDict):
    """Statistics of a connection: times in seconds, rates in bytes per second."""

    #: The smoothed round-trip time.
    rtt: float
    #: The largest datagram known to pass, in bytes.
    mtu: int
    #: The congestion window, in bytes.
    window: int
    #: Bytes sent and neither acknowledged nor lost.
    in_flight: int
    sent_packets: int
    sent_bytes: int
    received_packets: int
    received_bytes: int
    #: Packets declared lost, probes of the MTU included.
    lost_packets: int
    #: Bytes of messages that were sent again.
    resent_bytes: int
    #: The rate limit of the congestion control.
    pacing_rate: int
    #: The rate at which packets arrived at the peer when last measured.
    delivery_rate: int
    #: Bytes in the send queue, with 64 for each message.
    queued_bytes: int
    #: The idle timeout of both ends, or None for never.
    idle_timeout: float | None
    #: Key updates begun on request.
    key_updates: int


class ServerStats(TypedDict):
    """Statistics of a server."""

    #: Connections, with those that are closing.
    connections: int
    #: Those among them whose handshake is not complete.
    half_open: int
    #: Datagrams received, with those that the filter rejected.
    received: int
    #: Datagrams sent.
    sent: int
    #: System calls that sent them.
    send_calls: int
    #: System calls that received something.
    receive_calls: int
    #: Datagrams that the system refused to send.
    send_errors: int
    #: Datagrams from addresses that the filter rejects.
    filtered: int
    #: Connections dropped because of a bug of hikyaku.
    faults: int
    #: Whether the system sends several datagrams with one call.
    gso: bool
    #: Datagrams discarded, by reason, such as "replayed" or "too small".
    discards: dict[str, int]
    #: The sum of them.
    discarded: int
