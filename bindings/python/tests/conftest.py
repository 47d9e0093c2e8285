"""What the tests share: a home folder of their own, and a server."""

import os
import pathlib
import tempfile

import pytest

# Before anything reads it: keys and known hosts of the tests are nobody's.
_home = tempfile.TemporaryDirectory(prefix="hikyaku-tests-")
os.environ["HOME"] = _home.name
os.environ["XDG_CONFIG_HOME"] = str(pathlib.Path(_home.name, "config"))
os.environ["XDG_DATA_HOME"] = str(pathlib.Path(_home.name, "data"))

import hikyaku  # noqa: E402


@pytest.fixture
def server():
    with hikyaku.listen("127.0.0.1:0") as server:
        yield server
