"""Keys: who this program is, and what both sides share.

::

    import hikyaku.keys

    hikyaku.keys.generate("robot.key", comment="robot 7")    # and robot.key.pub, for others
    hikyaku.connect("192.0.2.2", identity="robot.key")

Keys are those of OpenSSH (Ed25519); ``ssh-keygen -t ed25519`` makes them, too.
"""

from __future__ import annotations

from . import _hikyaku
from ._options import Path

__all__ = ["fingerprint", "generate", "generate_shared", "public"]


def generate(path: Path, *, comment: str = "", passphrase: str | None = None) -> str:
    """Makes a key, and writes it to `path` and its public half to `path` with ``.pub``.

    Returns its fingerprint. Raises OSError if there is a file already.
    """
    return _hikyaku._generate(path, comment, passphrase)


def generate_shared(path: Path) -> None:
    """Makes a key for both sides (``shared_key=``, or ``fernet=`` of plain sockets)."""
    _hikyaku._generate_shared(path)


def fingerprint(path: Path | None = None, *, passphrase: str | None = None) -> str:
    """Returns the fingerprint of a key, private or public; without a path, of our own."""
    return _hikyaku._fingerprint(path, passphrase)[0]


def public(path: Path | None = None, *, passphrase: str | None = None) -> str:
    """Returns the public half of a key, as a line for ``allow=`` and ``authorized_keys``."""
    return _hikyaku._fingerprint(path, passphrase)[1]
