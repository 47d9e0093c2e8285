"""Servers that are found on the local network, and invites."""

import asyncio
import socket

import pytest

import hikyaku
import hikyaku.aio
import hikyaku.keys

APPLICATION = "thermometer/1"


@pytest.fixture
def port():
    """A port that servers can share, and that nobody else gets meanwhile."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as keeper:
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        keeper.bind(("", 0))
        yield keeper.getsockname()[1]


def search(port, **options):
    return {"timeout": 1.0, "targets": [("127.255.255.255", port)], "mdns": False, **options}


def test_an_announced_server_is_found_and_connected_to(port):
    with hikyaku.listen("0.0.0.0:0") as server:
        announcement = server.announce(
            "attic", application=APPLICATION, room="21 °C", members=3, port=port, mdns=False
        )
        [host] = hikyaku.discover(APPLICATION, name="ATTIC", **search(port))
        assert (host.application, host.name, host.room, host.members, host.needs_key) == (
            APPLICATION,
            "attic",
            "21 °C",
            3,
            False,
        )
        assert host.address == ("127.0.0.1", server.address[1])
        assert host.fingerprint == server.fingerprint
        with hikyaku.connect(host) as client:
            client.send("found")
            peer = server.accept(timeout=10)
            assert peer.recv(timeout=10) == "found"
            assert client.trusted == "pinned"
        assert hikyaku.discover("other/1", **search(port, timeout=0.3)) == []

        async def again():
            return await hikyaku.aio.discover(APPLICATION, **search(port))

        assert asyncio.run(again()) == [host]
        with announcement:
            pass
        announcement.stop()
        assert hikyaku.discover(APPLICATION, **search(port, timeout=0.3)) == []
        with pytest.raises(ValueError, match="visible ASCII"):
            server.announce("attic", application="")


def test_an_announcement_ends_with_its_server(port):
    async def program():
        async with hikyaku.aio.listen("0.0.0.0:0") as server:
            server.announce("attic", application=APPLICATION, port=port, mdns=False)
            [host] = await hikyaku.aio.discover(APPLICATION, name="attic", **search(port))
        return host, await hikyaku.aio.discover(APPLICATION, **search(port, timeout=0.3))

    host, found = asyncio.run(asyncio.wait_for(program(), 30))
    assert (host.name, found) == ("attic", [])


def test_an_invite_has_all_that_a_guest_needs(tmp_path):
    key = tmp_path / "shared"
    hikyaku.keys.generate_shared(key)
    with hikyaku.listen("127.0.0.1:0", shared_key=key) as server:
        # The first address has nobody: the next one is tried.
        there = f"127.0.0.1:{server.address[1]}"
        invite = hikyaku.Invite(
            ["127.0.0.2:9", there], server.fingerprint, room="tea", shared_key=key
        )
        line = str(invite)
        assert line not in repr(invite) and repr(invite) == f"<Invite to 127.0.0.2:9, {there}>"
        read = hikyaku.Invite.parse(line.upper())
        assert (read.room, read.code, read.has_shared_key) == ("tea", None, True)
        assert read.fingerprint == server.fingerprint and read.addresses[1] == there
        with hikyaku.connect(line) as client:
            client.send("may I?")
            assert server.accept(timeout=10).recv(timeout=10) == "may I?"

        async def program():
            async with hikyaku.aio.connect(read) as client:
                return client.trusted

        assert asyncio.run(asyncio.wait_for(program(), 30)) == "pinned"
    with pytest.raises(ValueError, match="cut short|copy all of it"):
        hikyaku.connect(line[:-3])
    with pytest.raises(ValueError, match="for one use"):
        hikyaku.Invite([there], read.fingerprint, shared_key=key, one_use=True)
    with pytest.raises(ValueError, match="1 to"):
        hikyaku.Invite([], read.fingerprint)


def test_an_invite_for_one_use_admits_one_key():
    with hikyaku.listen("127.0.0.1:0") as server:
        ours = server.fingerprint
    invite, invites = hikyaku.Invite(["192.0.2.7:9"], ours, one_use=True), hikyaku.Invites()
    assert invite.code is not None and hikyaku.Invite.parse(str(invite)).code == invite.code
    assert invites.admit(invite.code, ours) == "unknown"
    invites.issue(invite)
    guest = "SHA256:" + "A" * 43
    assert [invites.admit(invite.code, who) for who in (ours, ours, guest)] == [
        "admitted",
        "admitted",
        "used",
    ]
    with pytest.raises(ValueError, match="one_use=True"):
        invites.issue(hikyaku.Invite(["192.0.2.7:9"], ours))
