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
EXAMPLES = ROOT / "bindings/python/examples"


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


def say(program, line):
    program.stdin.write(line + "\n")
    program.stdin.flush()


def test_the_chat_of_twenty_lines(tmp_path):
    chat = str(EXAMPLES / "chat.py")

    def run(*words, **kwargs):
        return subprocess.Popen(
            [sys.executable, chat, *words], stdout=subprocess.PIPE, text=True, **kwargs
        )

    host = run("host", "127.0.0.1:0")
    try:
        *_, address, key, _ = host.stdout.readline().split()
        ana = run(address, key, "ana", stdin=subprocess.PIPE)
        say(ana, "here")
        assert ana.stdout.readline().endswith(" ana: here\n")
        ben = run(address, key, "ben", stdin=subprocess.PIPE)
        say(ben, "here")
        assert ana.stdout.readline().endswith(" ben: here\n")
        ana.communicate("".join(f"line {number}\n" for number in range(200)), timeout=30)
        lines = []
        while not lines or not lines[-1].endswith(" ana: line 199\n"):
            lines.append(ben.stdout.readline())
            assert lines[-1], "ben ended"
        ben.communicate(timeout=30)
    finally:
        host.kill()
        host.wait()
    got = [line.rstrip() for line in lines if " ana: line " in line]
    assert [line.split(" ", 1)[1] for line in got] == [f"ana: line {n}" for n in range(200)]


def test_the_page_shows_the_examples_as_they_are():
    assert programs()["chat.py"] == (EXAMPLES / "chat.py").read_text().split("\n", 1)[1]
    lossy = (EXAMPLES / "lossy_classes.py").read_text()
    shown = re.findall(r"```py\n(def (?:audio|game|questions).*?)```", PAGE.read_text(), re.DOTALL)
    assert len(shown) == 3
    for function in shown:
        assert function in lossy


def test_classes_over_a_lossy_path():
    ran = subprocess.run(
        [sys.executable, str(EXAMPLES / "lossy_classes.py"), "45"],
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    audio, game, questions = ran.stdout.splitlines()
    assert re.match(r"audio frames, DEADLINE\(0.2\) +\d+ of 45, median \d+ ms", audio)
    assert re.match(r"a game's state, LATEST +\d+ of 45, median \d+ ms", game)
    assert re.match(r"question and answer, RELIABLE +15 of 15, median \d+ ms", questions)


def test_the_example_of_files(tmp_path):
    (tmp_path / "inbox").mkdir()
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "one.txt").write_text("a long letter")
    example = [sys.executable, str(EXAMPLES / "files.py")]
    take = subprocess.Popen(
        [*example, "take", str(tmp_path / "inbox"), "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        *_, address, key, _ = take.stdout.readline().split()
        give = subprocess.run(
            [*example, "give", address, key, str(tmp_path / "letters")],
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
        )
        assert "is there as letters/one.txt" in give.stdout
        assert take.stdout.readline().endswith("one.txt: 13 bytes\n")
    finally:
        take.kill()
        take.wait()
    assert (tmp_path / "inbox" / "letters" / "one.txt").read_text() == "a long letter"
