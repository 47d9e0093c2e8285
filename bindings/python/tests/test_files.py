"""Files and folders, between two of this module."""

import asyncio
import os
import pathlib
import threading

import pytest

import hikyaku
import hikyaku.aio
import hikyaku.aio.files
import hikyaku.files


@pytest.fixture
def inbox(tmp_path):
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def transfer(server, inbox):
    """Sends with one thread, and saves with another; returns what both have seen."""

    def transfer(*paths, accept=None, **options):
        saved = []

        def save():
            peer = server.accept(timeout=20)
            saved.extend(hikyaku.files.receive(peer, inbox, accept=accept))

        thread = threading.Thread(target=save)
        thread.start()
        try:
            with hikyaku.connect(server.address, trust=server.fingerprint) as client:
                return hikyaku.files.send(client, *paths, **options), saved
        finally:
            thread.join(timeout=20)

    return transfer


def test_a_file_arrives_with_its_bytes_and_its_mode(transfer, tmp_path, inbox):
    file = tmp_path / "photo.jpg"
    file.write_bytes(os.urandom(300_000))
    file.chmod(0o740)
    seen = []
    (sent,), (saved,) = transfer(file, progress=seen.append)
    assert (sent.name, sent.size, sent.error) == ("photo.jpg", 300_000, None)
    assert pathlib.Path(saved.path).read_bytes() == file.read_bytes()
    assert (inbox / "photo.jpg").stat().st_mode & 0o777 == 0o740
    assert [p.done for p in seen] == sorted(p.done for p in seen) and seen[-1].done == 300_000


def test_a_folder_keeps_its_shape(transfer, tmp_path, inbox):
    folder = tmp_path / "letters"
    (folder / "old").mkdir(parents=True)
    (folder / "one.txt").write_text("1")
    (folder / "old" / "two.txt").write_text("")
    sent, saved = transfer(folder)
    assert sorted(s.name for s in sent) == ["letters/old/two.txt", "letters/one.txt"]
    assert (inbox / "letters" / "one.txt").read_text() == "1"
    assert (inbox / "letters" / "old" / "two.txt").read_text() == ""


def test_nothing_is_written_over_and_the_others_arrive(transfer, tmp_path, inbox):
    (inbox / "a").write_text("mine")
    for name in ["a", "b"]:
        (tmp_path / name).write_text("theirs")
    with pytest.raises(hikyaku.files.NotSaved, match="1 of 2 files are not saved.*exists") as caught:
        transfer(tmp_path / "a", tmp_path / "b")
    assert [one.name for one in caught.value.results] == [None, "b"]
    assert (inbox / "a").read_text() == "mine" and (inbox / "b").read_text() == "theirs"
    assert sorted(os.listdir(inbox)) == ["a", "b"]


def test_a_program_may_refuse_a_file_with_a_reason(transfer, tmp_path):
    (tmp_path / "big").write_bytes(bytes(5_000))

    def accept(offer):
        return "too big for me" if offer.size > 1_000 else True

    with pytest.raises(hikyaku.files.NotSaved, match="too big for me"):
        transfer(tmp_path / "big", accept=accept)


@pytest.mark.parametrize(
    "name, place",
    [
        ("../../evil", None),
        ("/etc/passwd", "etc/passwd"),
        ("a/.ssh/authorized_keys", "a/_ssh/authorized_keys"),
        ("..", None),
        ("", None),
        ("x\\y", "y"),
        ("nul\0byte", "nul_byte"),
    ],
)
def test_a_name_never_leads_out_of_the_folder(inbox, name, place):
    from hikyaku import _transfer

    try:
        path = _transfer._place(str(inbox), name)
    except _transfer._Refused:
        path = None
    got = path and os.path.relpath(path, inbox)
    if got is not None:
        assert not got.startswith("..") and ".." not in got.split("/")
    assert (got is None) == (place is None)


def test_a_link_in_the_folder_is_not_followed(transfer, tmp_path, inbox):
    outside = tmp_path / "outside"
    outside.mkdir()
    (inbox / "letters").symlink_to(outside)
    folder = tmp_path / "letters"
    folder.mkdir()
    (folder / "one").write_text("1")
    with pytest.raises(hikyaku.files.NotSaved, match="no folder"):
        transfer(folder)
    assert os.listdir(outside) == []


def test_what_an_interrupted_transfer_has_left_is_not_sent_again(server, tmp_path, inbox):
    file = tmp_path / "film"
    file.write_bytes(os.urandom(6_000_000))

    def save(result):
        peer = server.accept(timeout=20)
        try:
            result.extend(hikyaku.files.receive(peer, inbox))
        except hikyaku.Closed:
            pass

    class Cut(Exception):
        pass

    def cut(progress):
        if progress.done > 3_000_000:
            raise Cut

    saved = []
    thread = threading.Thread(target=save, args=(saved,))
    thread.start()
    client = hikyaku.connect(server.address, trust=server.fingerprint)
    with pytest.raises(Cut):
        hikyaku.files.send(client, file, progress=cut)
    client.close()
    thread.join(timeout=20)
    assert saved == [] and not (inbox / "film").exists()

    thread = threading.Thread(target=save, args=(saved,))
    thread.start()
    with hikyaku.connect(server.address, trust=server.fingerprint) as client:
        (sent,) = hikyaku.files.send(client, file)
    thread.join(timeout=20)
    assert sent.skipped > 1_000_000 and saved[0].skipped == sent.skipped
    assert (inbox / "film").read_bytes() == file.read_bytes()
    assert os.listdir(inbox) == ["film"]


def test_a_file_that_changed_since_is_sent_from_its_beginning(server, tmp_path, inbox):
    file = tmp_path / "film"
    file.write_bytes(os.urandom(2_000_000))
    peer_key = hikyaku.keys.fingerprint()
    pending = hikyaku._transfer._Pending(
        str(inbox), peer_key, hikyaku.files.Offer("film", 2_000_000), 0, None
    )
    pending.write(memoryview(bytes(1_500_000)))
    pending.leave()
    saved = []
    thread = threading.Thread(
        target=lambda: saved.extend(hikyaku.files.receive(server.accept(timeout=20), inbox))
    )
    thread.start()
    with hikyaku.connect(server.address, trust=server.fingerprint) as client:
        (sent,) = hikyaku.files.send(client, file)
    thread.join(timeout=20)
    assert sent.skipped == 0 and (inbox / "film").read_bytes() == file.read_bytes()


def test_nobody_who_takes_files_is_named(server, tmp_path):
    (tmp_path / "a").write_text("x")
    with hikyaku.connect(server.address, trust=server.fingerprint) as client:
        with pytest.raises(TimeoutError, match="hikyaku.files.receive"):
            hikyaku.files.send(client, tmp_path / "a", timeout=0.3)
        with pytest.raises(FileNotFoundError):
            hikyaku.files.send(client, tmp_path / "missing")
        with pytest.raises(NotADirectoryError, match="os.makedirs"):
            next(hikyaku.files.receive(client, tmp_path / "missing"))


def test_messages_go_on_beside_files(server, tmp_path, inbox):
    file = tmp_path / "a"
    file.write_bytes(bytes(2_000_000))
    client = hikyaku.connect(server.address, trust=server.fingerprint)
    peer = server.accept(timeout=20)
    saved = []
    thread = threading.Thread(target=lambda: saved.append(next(hikyaku.files.receive(peer, inbox))))
    thread.start()
    client.send("before")
    hikyaku.files.send(client, file)
    client.send("after")
    thread.join(timeout=20)
    assert [peer.recv(timeout=10).text for _ in range(2)] == ["before", "after"]
    assert saved[0].size == 2_000_000
    client.abort()


def test_the_same_for_asyncio(tmp_path, inbox):
    file = tmp_path / "letter"
    file.write_bytes(os.urandom(3_000_000))

    async def program():
        async with hikyaku.aio.listen("127.0.0.1:0") as server:

            async def save():
                peer = await server.accept()
                return [one async for one in hikyaku.aio.files.receive(peer, inbox)]

            saving = asyncio.ensure_future(save())
            async with hikyaku.aio.connect(server.address, trust=server.fingerprint) as client:
                sent = await hikyaku.aio.files.send(client, file)
            return sent, await saving

    sent, saved = asyncio.run(asyncio.wait_for(program(), 60))
    assert sent[0].name == "letter" and saved[0].size == 3_000_000
    assert (inbox / "letter").read_bytes() == file.read_bytes()
