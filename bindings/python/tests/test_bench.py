"""The scripts of bench/ run, briefly."""

import os
import pathlib
import subprocess
import sys

import pytest

import hikyaku

BENCH = pathlib.Path(__file__).resolve().parents[1] / "bench"
sys.path.insert(0, str(BENCH))


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="memory is read from /proc")
def test_memory_does_not_grow(server):
    import leak

    assert leak.watched("messages", 50_000, leak.messages(server))
    assert leak.watched("connections", 500, leak.connections(server))


def test_the_benchmark_runs():
    ran = subprocess.run(
        [sys.executable, str(BENCH / "bench.py"), "--count", "2000", "--seconds", "0.1"],
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0
    assert ran.stdout.count("hikyaku") == 6


def test_the_module_runs_the_command_or_says_where_it_is():
    path = os.pathsep.join(
        folder
        for folder in os.environ["PATH"].split(os.pathsep)
        if not os.path.exists(os.path.join(folder, "hikyaku"))
    )
    ran = subprocess.run(
        [sys.executable, "-m", "hikyaku"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PATH": path},
    )
    assert ran.returncode == 1 and "cargo install --path crates/cli" in ran.stderr


def test_the_module_becomes_the_command_where_it_is_installed(tmp_path):
    command = tmp_path / "hikyaku"
    command.write_text('#!/bin/sh\necho "$@"\nexit 3\n')
    command.chmod(0o755)
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    if os.path.exists(os.path.join(os.path.dirname(sys.executable), "hikyaku")):
        pytest.skip("the one beside this Python comes first")
    ran = subprocess.run(
        [sys.executable, "-m", "hikyaku", "send", "--to", "a b"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PATH": path},
    )
    assert (ran.returncode, ran.stdout) == (3, "send --to a b\n")


def test_objects_show_what_they_are(server):
    client = hikyaku.connect(server.address, trust=server.fingerprint)
    assert repr(client.channel(2)).startswith("<channel 2 of <hikyaku connection to 127.0.0.1")
    assert repr(client.send_many(["a", "b"])) == "<Receipts of 2 messages>"
    assert repr(server).startswith("<hikyaku server on 127.0.0.1")
    client.abort()
