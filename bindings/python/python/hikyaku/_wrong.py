"""Advice for those who take one thing for another."""

from __future__ import annotations

from typing import NoReturn

_SERVER = {
    "send": "a server has many peers: accept a connection and send on that, as in "
    "`for peer in server: peer.send(...)`",
    "recv": "a server has many peers: accept a connection and receive on that, as in "
    "`for peer in server: message = peer.recv()`",
    "sendto": "that is a method of plain sockets: hikyaku.plain.socket()",
    "recvfrom": "that is a method of plain sockets: hikyaku.plain.socket()",
    "bind": "hikyaku.listen(address) binds already",
}

_CONNECTION = {
    "sendto": "a connection has one peer: use send(data), or hikyaku.plain.socket()",
    "recvfrom": "a connection has one peer: use recv(), or hikyaku.plain.socket()",
    "sendall": "send(data) sends all of it",
    "settimeout": "pass a timeout to the call: recv(timeout=5)",
    "accept": "hikyaku.listen(...) gives a server, which accepts connections",
    "bind": "hikyaku.listen(address) gives a server",
    "listen": "hikyaku.listen(address) gives a server",
}


def attribute(of: object, name: str, kind: str) -> AttributeError:
    """Returns the error of a name that is not there."""
    advice = (_SERVER if kind == "server" else _CONNECTION).get(name)
    more = f": {advice}" if advice else ""
    return AttributeError(f"a {kind} has no {name!r}{more}", name=name, obj=of)


def blocking_in_async() -> NoReturn:
    """Raises what ``async with`` on a blocking object deserves."""
    raise TypeError("this is the blocking module: `import hikyaku.aio as hikyaku`, or use `with`")


def async_in_blocking() -> NoReturn:
    """Raises what ``with`` or ``for`` on an object for asyncio deserves."""
    raise TypeError("this is for asyncio: use `async with`, `async for` and `await`, or `import hikyaku`")
