"""Both ends of each measurement. A server sends its address through the pipe, and returns when it
has seen everything; a sender returns the seconds that it took, or those of each round trip."""

from __future__ import annotations

import asyncio
import socket
import tempfile
import time
from collections.abc import Callable
from typing import Any

import hikyaku
import hikyaku.aio


class Trips:
    """How long each round trip takes, for so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.times: list[float] = []
        self.last: float | None = None
        self.end = time.perf_counter() + seconds

    def go_on(self) -> bool:
        """Ends a round trip, and returns whether there is time for another."""
        now = time.perf_counter()
        if self.last is not None:
            self.times.append(now - self.last)
        self.last = now
        return now < self.end


# hikyaku, blocking


def hikyaku_sink(pipe: Any, payload: bytes, count: int, many: bool) -> None:
    with hikyaku.listen("127.0.0.1:0") as server:
        pipe.send((server.address, server.fingerprint))
        peer = server.accept()
        got = 0
        while got < count:
            if many:
                got += len(peer.recv_many())
            else:
                peer.recv()
                got += 1
        peer.send("all").acknowledged(timeout=10)
        peer.wait_closed()


def hikyaku_send(pipe: Any, payload: bytes, count: int, many: bool) -> float:
    address, fingerprint = pipe.recv()
    with hikyaku.connect(address, trust=fingerprint) as peer:
        began = time.perf_counter()
        if many:
            each = 1_000 if len(payload) < 1_000 else 16
            batch = [payload] * each
            for _ in range(count // each):
                peer.send_many(batch)
            peer.send_many(batch[: count % each])
        else:
            for _ in range(count):
                peer.send(payload)
        peer.recv()
        return time.perf_counter() - began


def hikyaku_echo(pipe: Any, payload: bytes, seconds: float) -> None:
    with hikyaku.listen("127.0.0.1:0") as server:
        pipe.send((server.address, server.fingerprint))
        peer = server.accept()
        for message in peer:
            peer.send(message)


def hikyaku_ask(pipe: Any, payload: bytes, seconds: float) -> Any:
    address, fingerprint = pipe.recv()
    with hikyaku.connect(address, trust=fingerprint) as peer:
        trips = Trips(seconds)
        while trips.go_on():
            peer.send(payload)
            peer.recv()
        return trips.times


# hikyaku, asyncio


def aio_sink(pipe: Any, payload: bytes, count: int, many: bool) -> None:
    async def serve() -> None:
        async with hikyaku.aio.listen("127.0.0.1:0") as server:
            pipe.send((server.address, server.fingerprint))
            peer = await server.accept()
            got = 0
            while got < count:
                got += len(await peer.recv_many())
            await (await peer.send("all")).acknowledged()
            await peer.wait_closed()

    asyncio.run(serve())


def aio_send(pipe: Any, payload: bytes, count: int, many: bool) -> float:
    address, fingerprint = pipe.recv()

    async def run() -> float:
        async with hikyaku.aio.connect(address, trust=fingerprint) as peer:
            began = time.perf_counter()
            batch = [payload] * 1_000
            for _ in range(count // 1_000):
                await peer.send_many(batch)
            await peer.send_many(batch[: count % 1_000])
            await peer.recv()
            return time.perf_counter() - began

    return asyncio.run(run())


def aio_echo(pipe: Any, payload: bytes, seconds: float) -> None:
    async def serve() -> None:
        async with hikyaku.aio.listen("127.0.0.1:0") as server:
            pipe.send((server.address, server.fingerprint))
            peer = await server.accept()
            async for message in peer:
                await peer.send(message)

    asyncio.run(serve())


def aio_ask(pipe: Any, payload: bytes, seconds: float) -> Any:
    address, fingerprint = pipe.recv()

    async def run() -> Any:
        async with hikyaku.aio.connect(address, trust=fingerprint) as peer:
            trips = Trips(seconds)
            while trips.go_on():
                await peer.send(payload)
                await peer.recv()
            return trips.times

    return asyncio.run(run())


# socket


def raw_sink(pipe: Any, payload: bytes, count: int) -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(0.5)
    pipe.send(sock.getsockname())
    got, began, last = 0, None, 0.0
    while got < count:
        try:
            sock.recvfrom(65_535)
        except TimeoutError:
            if began is not None:
                break
            continue
        last = time.perf_counter()
        began = began or last
        got += 1
    pipe.send((got, last - (began or last)))


def raw_send(pipe: Any, payload: bytes, count: int) -> float:
    address = pipe.recv()
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    began = time.perf_counter()
    for _ in range(count):
        sock.sendto(payload, address)
    raw_send.took = time.perf_counter() - began  # type: ignore[attr-defined]
    raw_send.got, _ = pipe.recv()  # type: ignore[attr-defined]
    return raw_send.took  # type: ignore[attr-defined,no-any-return]


def raw(payload: bytes, count: int, between: Callable[..., Any]) -> tuple[float, float]:
    took, used = between(raw_sink, raw_send, payload, count)
    print(f"  (of {count:,} datagrams {raw_send.got:,} arrived)")  # type: ignore[attr-defined]
    return took, used


def raw_echo(pipe: Any, payload: bytes, seconds: float) -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    pipe.send(sock.getsockname())
    while True:
        data, address = sock.recvfrom(2_000)
        if not data:
            return
        sock.sendto(data, address)


def raw_ask(pipe: Any, payload: bytes, seconds: float) -> Any:
    address = pipe.recv()
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    trips = Trips(seconds)
    while trips.go_on():
        sock.sendto(payload, address)
        sock.recvfrom(2_000)
    sock.sendto(b"", address)
    return trips.times


# asyncio's datagrams


class Echo(asyncio.DatagramProtocol):
    transport: Any

    def __init__(self) -> None:
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        if data == b"end":
            self.ended.set_result(None)
        self.transport.sendto(data, address)


class Asking(asyncio.DatagramProtocol):
    waiter: Any = None

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.waiter.set_result(None)


def asyncio_echo(pipe: Any, payload: bytes, seconds: float) -> None:
    async def serve() -> None:
        loop = asyncio.get_running_loop()
        transport, echo = await loop.create_datagram_endpoint(Echo, ("127.0.0.1", 0))
        pipe.send(transport.get_extra_info("sockname"))
        await echo.ended

    asyncio.run(serve())


def asyncio_ask(pipe: Any, payload: bytes, seconds: float) -> Any:
    address = pipe.recv()

    async def run() -> Any:
        loop = asyncio.get_running_loop()
        transport, client = await loop.create_datagram_endpoint(Asking, remote_addr=address)
        trips = Trips(seconds)
        while trips.go_on():
            client.waiter = loop.create_future()
            transport.sendto(payload)
            await client.waiter
        client.waiter = loop.create_future()
        transport.sendto(b"end")
        await client.waiter
        return trips.times

    return asyncio.run(run())


# pyzmq


def zmq_sink(pipe: Any, payload: bytes, count: int) -> None:
    try:
        import zmq
    except ImportError:
        pipe.send(None)
        return
    sock = zmq.Context.instance().socket(zmq.PULL)
    pipe.send(sock.bind_to_random_port("tcp://127.0.0.1"))
    for _ in range(count):
        sock.recv()
    pipe.send("all")


def zmq_send(pipe: Any, payload: bytes, count: int) -> float:
    port = pipe.recv()
    import zmq

    sock = zmq.Context.instance().socket(zmq.PUSH)
    sock.connect(f"tcp://127.0.0.1:{port}")
    began = time.perf_counter()
    for _ in range(count):
        sock.send(payload)
    pipe.recv()
    return time.perf_counter() - began


# aioquic: one stream; what is a message, its reader has to know.


def _certificate() -> tuple[str, str]:
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bench")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    folder = tempfile.mkdtemp(prefix="hikyaku-bench-")
    pem = serialization.Encoding.PEM
    with open(f"{folder}/cert", "wb") as file:
        file.write(made.public_bytes(pem))
    with open(f"{folder}/key", "wb") as file:
        file.write(
            key.private_bytes(
                pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    return f"{folder}/cert", f"{folder}/key"


def _quic_serve(pipe: Any, echo: bool, total: int) -> None:
    try:
        from aioquic.asyncio import QuicConnectionProtocol, serve
        from aioquic.quic.configuration import QuicConfiguration
        from aioquic.quic.events import ConnectionTerminated, StreamDataReceived
    except ImportError:
        pipe.send(None)
        return
    configuration = QuicConfiguration(is_client=False)
    configuration.load_cert_chain(*_certificate())

    async def run() -> None:
        ended = asyncio.get_running_loop().create_future()

        class Serving(QuicConnectionProtocol):
            got = 0

            def quic_event_received(self, event: Any) -> None:
                if isinstance(event, ConnectionTerminated) and not ended.done():
                    ended.set_result(None)
                if not isinstance(event, StreamDataReceived):
                    return
                self.got += len(event.data)
                if echo or self.got == total:
                    self._quic.send_stream_data(event.stream_id, event.data if echo else b"all")
                    self.transmit()

        server = await serve("127.0.0.1", 0, configuration=configuration, create_protocol=Serving)
        pipe.send(server._transport.get_extra_info("sockname"))
        await ended

    asyncio.run(run())


def _quic_client(pipe: Any, talk: Callable[..., Any]) -> Any:
    address = pipe.recv()
    import ssl

    from aioquic.asyncio import QuicConnectionProtocol, connect
    from aioquic.quic.configuration import QuicConfiguration
    from aioquic.quic.events import StreamDataReceived

    class Client(QuicConnectionProtocol):
        waiter: Any = None

        def quic_event_received(self, event: Any) -> None:
            if isinstance(event, StreamDataReceived) and not self.waiter.done():
                self.waiter.set_result(None)

    configuration = QuicConfiguration(is_client=True, verify_mode=ssl.CERT_NONE)

    async def run() -> Any:
        async with connect(*address, configuration=configuration, create_protocol=Client) as client:
            return await talk(client)

    return asyncio.run(run())


def quic_sink(pipe: Any, payload: bytes, count: int) -> None:
    _quic_serve(pipe, False, len(payload) * count)


def quic_send(pipe: Any, payload: bytes, count: int) -> float:
    async def talk(client: Any) -> float:
        quic = client._quic
        stream = quic.get_next_available_stream_id()
        client.waiter = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        for number in range(count):
            quic.send_stream_data(stream, payload)
            if number % 100 == 99:
                client.transmit()
                await asyncio.sleep(0)
        client.transmit()
        await client.waiter
        return time.perf_counter() - began

    return _quic_client(pipe, talk)  # type: ignore[no-any-return]


def quic_echo(pipe: Any, payload: bytes, seconds: float) -> None:
    _quic_serve(pipe, True, 0)


def quic_ask(pipe: Any, payload: bytes, seconds: float) -> Any:
    async def talk(client: Any) -> Any:
        stream = client._quic.get_next_available_stream_id()
        trips = Trips(seconds)
        while trips.go_on():
            client.waiter = asyncio.get_running_loop().create_future()
            client._quic.send_stream_data(stream, payload)
            client.transmit()
            await client.waiter
        return trips.times

    return _quic_client(pipe, talk)
