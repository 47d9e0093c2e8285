"""The programs of docs/for-readers-of-the-guide.md, with one line changed, beside the originals."""

import os
import pathlib
import re
import socket
import subprocess
import sys
import time

import pytest

import hikyaku.plain

ROOT = pathlib.Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs/for-readers-of-the-guide.md"


def programs():
    """Returns the page's Python programs by name."""
    blocks = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return dict(blocks)


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@pytest.fixture(params=["original", "changed"])
def start(request, tmp_path):
    """Starts a program of the page, as it is or with the import changed."""
    running = []

    def start(name, port, variant=None, **kwargs):
        text = programs()[name].replace("5005", str(port))
        if (variant or request.param) == "changed":
            assert "import socket\n" in text
            text = text.replace("import socket\n", "import hikyaku.plain as socket\n")
        file = tmp_path / f"{variant or request.param}-{name}"
        file.write_text(text)
        program = subprocess.Popen(
            [sys.executable, str(file)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            **kwargs,
        )
        running.append(program)
        return program

    yield start
    for program in running:
        program.kill()
        program.wait()


def until_bound(port):
    """Waits until somebody listens at the port."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                return
        time.sleep(0.05)
    raise AssertionError(f"nobody listens at {port}")


@pytest.mark.parametrize("sender", ["original", "changed"])
def test_listen_and_send(start, sender):
    port = free_port()
    listening = start("listen.py", port)
    until_bound(port)
    start("send.py", port, variant=sender).wait(timeout=20)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"q", ("127.0.0.1", port))
    out, _ = listening.communicate(timeout=20)
    assert [line.split()[-1] for line in out.splitlines()] == ["0", "1", "2", "q"]


def test_send_again_until_acknowledged(start):
    with hikyaku.plain.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(20)
        sending = start("send_ack.py", sock.getsockname()[1])
        sock.recvfrom()  # As if it were lost.
        data, address = sock.recvfrom()
        assert data == b"important"
        sock.sendto(b"ACK", address)
        assert sending.communicate(timeout=20)[0] == "acknowledged\n"


def test_in_order(start):
    port = free_port()
    listening = start("in_order.py", port)
    until_bound(port)
    with hikyaku.plain.socket() as sock:
        for text in ["2 third", "0 first", "1 second"]:
            sock.sendto(text, ("127.0.0.1", port))
    assert listening.communicate(timeout=20)[0] == "first\nsecond\nthird\n"


def test_once(start):
    port = free_port()
    listening = start("once.py", port)
    until_bound(port)
    with hikyaku.plain.socket() as sock:
        for text in ["id-1 hello", "id-1 hello", "id-2 q"]:
            sock.sendto(text, ("127.0.0.1", port), ack=True)
    assert listening.communicate(timeout=20)[0] == "hello\nq\n"


@pytest.mark.parametrize("member", ["original", "changed"])
def test_chat(start, member):
    port = free_port()
    start("room.py", port)
    until_bound(port)
    with hikyaku.plain.socket() as ben:
        ben.settimeout(20)
        ben.sendto("/name ben", ("127.0.0.1", port))
        ana = start("member.py", port, variant=member, stdin=subprocess.PIPE)
        deadline = time.monotonic() + 20
        line = ""
        while "ana: hello" not in line and time.monotonic() < deadline:
            ana.stdin.write("hello\n")
            ana.stdin.flush()
            line = ben.recvfrom()[0].decode()
        assert re.fullmatch(r"\[\d\d:\d\d:\d\d\] ana: hello", line)
        ben.sendto("good evening", ("127.0.0.1", port))
        assert ana.stdout.readline().endswith("ben: good evening\n")


def test_fernet(start, tmp_path):
    fernet = pytest.importorskip("cryptography.fernet")
    key = fernet.Fernet.generate_key()
    (tmp_path / "team.key").write_bytes(key)
    with hikyaku.plain.socket(fernet=key) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(20)
        start("secret.py", sock.getsockname()[1]).wait(timeout=20)
        assert sock.recvfrom()[0] == b"meet at nine"


def test_filter(start):
    port = free_port()
    listening = start("filter.py", port)
    until_bound(port)
    with hikyaku.plain.socket() as sock:
        sock.sendto("welcome", ("127.0.0.1", port))
    assert listening.communicate(timeout=20)[0] == "welcome\n"


def test_the_chat_of_twenty_lines(tmp_path):
    chat = str(ROOT / "bindings/python/examples/chat.py")

    def run(*words, **kwargs):
        return subprocess.Popen(
            [sys.executable, chat, *words], stdout=subprocess.PIPE, text=True, **kwargs
        )

    host = run("host", "127.0.0.1:0")
    try:
        *_, address, key, _ = host.stdout.readline().split()
        ana = run(address, key, "ana", stdin=subprocess.PIPE)
        ben = run(address, key, "ben", stdin=subprocess.PIPE)
        deadline = time.monotonic() + 20
        for member in [ana, ben]:
            member.stdin.write("here\n")
            member.stdin.flush()
        lines = []
        while not any("ben: here" in line for line in lines):
            assert time.monotonic() < deadline
            lines.append(ana.stdout.readline())
        ana.communicate("".join(f"line {number}\n" for number in range(200)), timeout=30)
        out, _ = ben.communicate(timeout=30)
    finally:
        host.kill()
        host.wait()
    got = [line for line in out.splitlines() if " ana: line " in line]
    assert [line.split(" ", 1)[1] for line in got] == [f"ana: line {n}" for n in range(200)]
