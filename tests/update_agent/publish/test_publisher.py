"""What a publisher does, as machines and an independent client see it."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest
from tuf.ngclient import Updater

from tests.update_agent.repository.world import Fast, World, block
from update_agent.publish.errors import (
    AlreadyPublishedError,
    AlreadyThereError,
    BlobError,
    DamagedError,
    GroupError,
    KeyFileError,
    KeysMissingError,
    NoReleaseError,
    NoRepositoryError,
    TooFewKeysError,
    TooLargeError,
    UnknownKeyError,
    UnknownRoleError,
)
from update_agent.publish.plan import Plan, Role
from update_agent.publish.publisher import Publisher
from update_agent.repository.errors import ReleaseError
from update_agent.repository.folder import FolderFetcher

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.update_agent.repository.serving import Server

ROLES = ["root", "targets", "snapshot", "timestamp"]


def files(world: World) -> dict[str, bytes]:
    return {
        str(path.relative_to(world.folder)): path.read_bytes() for path in world.folder.rglob("*") if path.is_file()
    }


# Made


def test_init_makes_keys_for_their_owner_alone_and_says_where_they_belong(world: World) -> None:
    keys = {path.name: path.stat().st_mode & 0o777 for path in world.keys.glob("*.pem")}
    names = ["root-1", "root-2", "root-3", "snapshot-1", "targets-1", "timestamp-1"]
    assert keys == {f"{name}.pem": 0o600 for name in names}
    assert world.keys.stat().st_mode & 0o077 == 0
    text = (world.keys / "KEYS.txt").read_text()
    offline, online = text.split("Online, in the pipeline:")
    assert all(f"root-{number}.pem" in offline for number in (1, 2, 3))
    assert "targets-1.pem" in offline
    assert "snapshot-1.pem" in online
    assert "timestamp-1.pem" in online
    assert "2 of 3" in offline


def test_openssl_knows_the_keys_and_what_they_signed(world: World) -> None:
    document = json.loads(world.metadata("1.root.json").read_text())
    signed, root = world.place / "signed", document["signed"]
    # Canonical JSON, where there is no text that is escaped.
    signed.write_text(json.dumps(root, sort_keys=True, separators=(",", ":")))
    assert (root["consistent_snapshot"], root["roles"]["root"]["threshold"]) == (True, 2)
    signatures = {one["keyid"]: one["sig"] for one in document["signatures"]}
    assert len(signatures) == 3
    public_keys = set()
    for number in (1, 2, 3):
        path = world.keys / f"root-{number}.pem"
        der = subprocess.run(
            ["openssl", "pkey", "-in", path, "-pubout", "-outform", "DER"], capture_output=True, check=True
        )
        public = der.stdout[-32:].hex()
        (keyid,) = [keyid for keyid, key in root["keys"].items() if key["keyval"]["public"] == public]
        (world.place / "signature").write_bytes(bytes.fromhex(signatures[keyid]))
        words: list[str | Path] = [
            "openssl",
            "pkeyutl",
            "-verify",
            "-rawin",
            "-inkey",
            path,
            "-in",
            signed,
            "-sigfile",
            world.place / "signature",
        ]
        subprocess.run(words, capture_output=True, check=True)
        public_keys.add(public)
    assert len(public_keys) == 3


def test_a_repository_is_not_made_twice(world: World) -> None:
    before = files(world)
    with pytest.raises(AlreadyThereError):
        world.publisher.init()
    assert files(world) == before


def test_files_can_be_read_by_a_web_server_whatever_the_umask_is(world: World) -> None:
    world.publish()
    assert {path.stat().st_mode & 0o777 for path in (world.folder / "metadata").iterdir()} == {0o644}
    assert {path.stat().st_mode & 0o777 for path in (world.folder / "targets").iterdir()} == {0o644}


def test_another_plan(tmp_path: Path) -> None:
    plan = Plan(Role(5, 3, 100), Role(2, 2, 50), Role(1, 1, 10), Role(2, 1, 2))
    publisher = Publisher(tmp_path / "r", [tmp_path / "k"], files=Fast())
    assert "3 of 5" in publisher.init(plan)
    assert {role: len(keys) for role, keys in publisher.keys().items()} == {
        "root": 5,
        "targets": 2,
        "snapshot": 1,
        "timestamp": 2,
    }
    days = {one.role: (one.expires - datetime.now(UTC)) / timedelta(days=1) for one in publisher.expiries()}
    assert {role: round(value) for role, value in days.items()} == {
        "root": 100,
        "targets": 50,
        "snapshot": 10,
        "timestamp": 2,
    }
    with pytest.raises(ValueError, match="threshold <= keys"):
        Role(2, 3, 1)


def test_the_client_of_tuf_itself_finds_everything(tmp_path: Path, server: Server) -> None:
    world = World(tmp_path)
    world.hand.date = datetime.now(UTC)
    world.publisher.refresh()
    world.publish("1.0+deb12,2")
    for role in ROLES:
        world.publisher.rotate(role)
    (tmp_path / "tuf").mkdir()
    (tmp_path / "got").mkdir()
    updater = Updater(
        str(tmp_path / "tuf"),
        f"{server.url}/metadata",
        str(tmp_path / "got"),
        f"{server.url}/targets",
        bootstrap=world.bootstrap,
    )
    updater.refresh()
    target = updater.get_targetinfo("os_1.0+deb12,2_usr.index")
    assert target is not None
    with open(updater.download_target(target), "rb") as file:  # noqa: PTH123
        assert file.read() == b"index of 1.0+deb12,2"
    ours = world.machine(server.url)
    (release,) = ours.refresh().releases
    assert ours.read(release.index) == b"index of 1.0+deb12,2"
    # There are servers for which + is a space.
    assert server.requests[-1].path.endswith(".os_1.0%2Bdeb12%2C2_usr.index")


# Releases


def test_a_release_is_added_once_and_again_without_effect(world: World) -> None:
    first = world.publish("1.0")
    before = files(world)
    world.hand.pass_days(1)
    assert world.publish("1.0") == first
    assert files(world) == before
    assert [release.version for release in world.publisher.releases()] == ["1.0"]


def test_a_version_is_never_used_for_another_content(world: World) -> None:
    world.publish("1.0")
    before = files(world)
    for changes in ({"size": 8192}, {"sha256": "f" * 64}, {"minimum_version": "0.1"}):
        with pytest.raises(AlreadyPublishedError, match="give the new one a new version"):
            world.publish("1.0", **changes)
    with pytest.raises(AlreadyPublishedError):
        world.publisher.add_release(b"another index", block(b"frames of 1.0", "1.0"))
    assert files(world) == before


def test_a_release_without_its_bulk_data_is_not_signed(world: World) -> None:
    before = files(world)
    with pytest.raises(BlobError, match="put the bulk data there before"):
        world.publisher.add_release(b"index", block(b"nowhere"))
    with pytest.raises(BlobError, match="it has 13 bytes, and the release says 14"):
        world.publish("1.0", compressed=14)
    assert set(files(world)) - set(before) == {f"blobs/{block(b'frames of 1.0')['blob']}"}


@pytest.mark.parametrize(
    "changes", [{"version": "../1"}, {"size": 0}, {"slot-type": "esp"}, {"name": None}, {"groups": "alpha"}]
)
def test_nothing_is_signed_that_a_machine_would_refuse(world: World, changes: dict[str, object]) -> None:
    fields = {**block(), **changes}
    (world.folder / "blobs" / block()["blob"]).write_bytes(b"frames")
    before = files(world)
    with pytest.raises(ReleaseError):
        world.publisher.add_release(b"index", fields)
    assert files(world) == before


def test_an_index_that_machines_would_not_fetch_is_refused(world: World) -> None:
    with pytest.raises(TooLargeError):
        world.publisher.add_release(bytes((8 << 20) + 1), block())


def test_deltas_are_published_with_their_release_and_withdrawn_with_it(world: World) -> None:
    world.publish("1.0")
    blob = "e" * 64 + ".delta"
    (world.folder / "blobs" / blob).write_bytes(b"delta")
    (world.folder / "blobs" / block(b"new", "1.1")["blob"]).write_bytes(b"new")
    name = "os_1.0..1.1_usr.delta"
    delta = {"from-version": "1.0", "from-sha256": "a" * 64, "target": name, "blob": blob, "compressed": 5}
    with pytest.raises(ReleaseError, match="that must be there"):
        world.publisher.add_release(b"index", block(b"new", "1.1", deltas=[delta]))
    release = world.publisher.add_release(b"index", block(b"new", "1.1", deltas=[delta]), {name: b"index of the delta"})
    machine = world.machine()
    assert machine.refresh().releases[1] == release
    assert machine.read(release.deltas[0].index) == b"index of the delta"
    world.publisher.withdraw("os", "1.1")
    world.publisher.withdraw("os", "1.0")
    assert machine.refresh().releases == ()
    assert world.load("5.targets.json").signed.targets == {}


def test_groups_are_promoted_without_a_second_upload(world: World) -> None:
    world.publish("1.0")
    before = {name for name in files(world) if not name.startswith("metadata/")}
    machine = world.machine()
    world.publisher.promote("os", "1.0", "beta")
    assert machine.refresh().releases[0].groups == ("alpha", "beta")
    waves = [{"from": "2026-12-05T00:00:00Z", "percent": 10}, {"from": "2026-12-09T00:00:00Z", "percent": 100}]
    world.publisher.promote("os", "1.0", "stable", waves)
    release = machine.refresh().releases[0]
    assert (release.groups, [wave.percent for wave in release.waves]) == (("alpha", "beta", "stable"), [10, 100])
    world.publisher.withdraw("os", "1.0", "alpha")
    assert machine.refresh().releases[0].groups == ("beta", "stable")
    assert {name for name in files(world) if not name.startswith("metadata/")} == before
    unchanged = files(world)
    world.publisher.promote("os", "1.0", "stable")
    assert files(world) == unchanged


def test_what_is_not_there_cannot_be_promoted_or_withdrawn(world: World) -> None:
    world.publish("1.0")
    before = files(world)
    with pytest.raises(NoReleaseError, match=r"no release 'os' '1\.1'"):
        world.publisher.promote("os", "1.1", "stable")
    with pytest.raises(NoReleaseError):
        world.publisher.withdraw("so", "1.0")
    with pytest.raises(GroupError):
        world.publisher.promote("os", "1.0", "a group")
    with pytest.raises(ReleaseError):
        world.publisher.promote("os", "1.0", "stable", [{"from": "soon", "percent": 1}])
    assert files(world) == before


def test_a_release_of_two_kinds_of_slots_is_promoted_as_one(world: World) -> None:
    world.publish("1.0")
    world.publish("1.0", slot="root", slot_type="root-arm64")
    assert len(world.publisher.promote("os", "1.0", "stable")) == 2
    assert [release.groups for release in world.machine().refresh().releases] == [("alpha", "stable")] * 2


# Dates


def test_a_timer_keeps_a_repository_alive_with_the_online_keys_alone(world: World) -> None:
    world.publish("1.0")
    for name in ("root-1", "root-2", "root-3", "targets-1"):
        (world.keys / f"{name}.pem").unlink()
    machine = world.machine()
    for _ in range(50):
        world.hand.pass_days(6)
        expiries = {one.role: one.due for one in world.publisher.refresh()}
        machine.refresh()
    # After 300 days the offline ones are asked for, in time.
    assert expiries == {"root": False, "timestamp": False, "snapshot": False, "targets": True}
    with pytest.raises(KeysMissingError, match="0 of the 1 keys that sign targets are here"):
        world.publish("1.1")


def test_refresh_says_which_online_key_is_missing(world: World) -> None:
    (world.keys / "timestamp-1.pem").unlink()
    with pytest.raises(KeysMissingError, match="sign timestamp"):
        world.publisher.refresh()


def test_snapshot_and_targets_and_root_are_signed_again_when_half_of_their_time_is_over(world: World) -> None:
    seen = {role: set[int]() for role in ROLES}
    half = {"root": 365.0, "targets": 182.5, "snapshot": 15.0, "timestamp": 3.5}
    for _ in range(100):
        world.hand.pass_days(4)
        world.publisher.refresh()
        trusted = world.machine().refresh()
        for role, version in trusted.versions.items():
            seen[role].add(version)
            assert trusted.expires[role] - world.hand.date >= timedelta(days=half[role])
    assert {role: len(versions) for role, versions in seen.items()} == {
        "root": 2,
        "targets": 3,
        "snapshot": 27,
        "timestamp": 100,
    }


# Keys


@pytest.mark.parametrize("role", ROLES)
def test_keys_are_rotated_with_machines_in_every_state(world: World, role: str) -> None:
    world.publish("1.0")
    old = world.machine(state="old")
    old.refresh()
    before = world.publisher.keys()
    roots = {path.name: path.read_bytes() for path in (world.folder / "metadata").glob("*.root.json")}
    rotation = world.publisher.rotate(role)
    after = world.publisher.keys()
    assert set(after[role]) & set(before[role]) == set()
    assert (rotation.revoked, rotation.added) == (before[role], after[role])
    assert {other: keys for other, keys in after.items() if other != role} == {
        other: keys for other, keys in before.items() if other != role
    }
    world.publish("1.1")
    for machine in (old, world.machine(state="new")):
        trusted = machine.refresh()
        assert [release.version for release in trusted.releases] == ["1.0", "1.1"]
        assert trusted.versions["root"] == rotation.root_version
    # What was is there for ever.
    assert all(world.metadata(name).read_bytes() == data for name, data in roots.items())


def test_one_of_three_root_keys_is_lost_and_replaced(world: World) -> None:
    (world.keys / "root-2.pem").unlink()
    kept = [signer.public_key.keyid for signer in world.signers("root-1", "root-3")]
    (lost,) = set(world.publisher.keys()["root"]) - set(kept)
    rotation = world.publisher.rotate("root", lost)
    assert rotation.revoked == (lost,)
    assert set(world.publisher.keys()["root"]) == {*kept, *rotation.added}
    assert world.versions() == []


def test_two_of_three_root_keys_are_lost_and_nothing_is_made(world: World) -> None:
    for name in ("root-2", "root-3"):
        (world.keys / f"{name}.pem").unlink()
    before, keys = files(world), sorted(world.keys.iterdir())
    for role in ROLES:
        with pytest.raises(KeysMissingError, match="1 of the 2 keys that sign root"):
            world.publisher.rotate(role)
    assert files(world) == before
    assert sorted(world.keys.iterdir()) == keys


@pytest.mark.parametrize("role", ["targets", "snapshot", "timestamp"])
def test_the_only_key_of_a_role_is_lost_and_replaced(world: World, role: str) -> None:
    world.publish("1.0")
    (world.keys / f"{role}-1.pem").unlink()
    world.publisher.rotate(role)
    world.publish("1.1")
    assert world.versions() == ["1.0", "1.1"]


def test_keys_may_lie_in_several_folders(world: World) -> None:
    stick = world.place / "stick"
    stick.mkdir()
    for number in (1, 2):
        (world.keys / f"root-{number}.pem").rename(stick / f"any name {number}.pem")
    (world.keys / "root-3.pem").unlink()
    publisher = Publisher(world.folder, [world.keys, stick], world.hand.clock(), files=Fast())
    publisher.rotate("targets")
    assert (world.keys / "targets-2.pem").exists()
    assert world.versions() == []


def test_a_key_is_revoked_where_enough_are_left(tmp_path: Path) -> None:
    world = World(tmp_path)
    plan = Plan(root=Role(3, 2, 730), targets=Role(2, 1, 365), timestamp=Role(2, 1, 7))
    publisher = Publisher(tmp_path / "r", [tmp_path / "k"], world.hand.clock(), files=Fast())
    publisher.init(plan)
    world.folder, world.keys = tmp_path / "r", tmp_path / "k"
    world.bootstrap = world.metadata("1.root.json").read_bytes()
    for role in ("timestamp", "targets", "root"):
        gone = publisher.keys()[role][0]
        (rotation,) = publisher.revoke(gone)
        assert (rotation.role, rotation.revoked, rotation.added) == (role, (gone,), ())
        assert gone not in publisher.keys()[role]
        assert world.versions() == []
    with pytest.raises(TooFewKeysError, match="root would have 1 keys and needs 2; rotate the key"):
        publisher.revoke(publisher.keys()["root"][0])


def test_names_of_keys_and_roles_that_are_none(world: World) -> None:
    with pytest.raises(UnknownKeyError):
        world.publisher.revoke("0" * 64)
    with pytest.raises(UnknownKeyError):
        world.publisher.rotate("root", world.publisher.keys()["targets"][0])
    with pytest.raises(UnknownRoleError):
        world.publisher.rotate("mirrors")


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "rsa"])
def test_a_key_file_that_is_none_is_named(world: World, content: bytes | str) -> None:
    path = world.keys / "another.pem"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        subprocess.run(["openssl", "genpkey", "-algorithm", "rsa", "-out", path], check=True, capture_output=True)
    with pytest.raises(KeyFileError, match=r"another\.pem: no "):
        world.publisher.refresh()


# Damage


def test_a_folder_without_a_repository(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path / "nothing", [tmp_path / "keys"])
    with pytest.raises(NoRepositoryError, match="make one with --init"):
        publisher.refresh()
    (tmp_path / "nothing").mkdir()
    with pytest.raises(NoRepositoryError, match=r"1\.root\.json: no repository"):
        publisher.releases()


@pytest.mark.parametrize("name", ["1.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json"])
def test_metadata_that_somebody_else_wrote_are_not_signed_again(world: World, name: str) -> None:
    world.publish("1.0")
    path = world.metadata(name)
    stranger = World(world.place / "stranger")
    stranger.publish("1.0")
    whole = path.read_bytes()
    for data in (whole.replace(b'"version":', b'"Version":', 1), b"{}", b"", stranger.metadata(name).read_bytes()):
        path.write_bytes(data)
        with pytest.raises(DamagedError):
            world.publisher.refresh()
    path.write_bytes(whole)
    world.publisher.refresh()


@pytest.mark.slow
def test_a_reader_in_the_middle_of_a_refresh_sees_the_old_or_the_new(world: World) -> None:
    """At each file that a machine asks for, the publisher has just done something else."""
    world.publish("1.0")
    world.publish("1.1")

    class Racing(FolderFetcher):
        """Lets ``act`` happen before the file number ``at``."""

        def __init__(self, act: Callable[[], object], at: int) -> None:
            super().__init__(world.folder)
            self.act, self.left = act, at

        def download_bytes(self, url: str, max_length: int) -> bytes:
            self.left -= 1
            if self.left == 0:
                self.act()
            return super().download_bytes(url, max_length)

    for at in range(1, 6):
        acts: list[Callable[[], object]] = [
            partial(world.publisher.promote, "os", "1.0", f"group{at}"),
            world.publisher.refresh,
            partial(world.publisher.withdraw, "os", "1.1", f"group{at}"),
            *(partial(world.publisher.rotate, role) for role in ROLES),
        ]
        for number, act in enumerate(acts):
            newest = world.metadata(f"{world.machine().refresh().versions['root']}.root.json").read_bytes()
            fetcher = Racing(act, at)
            trusted = world.machine(state=f"racing-{at}-{number}", fetcher=fetcher, bootstrap=newest).refresh()
            assert [release.version for release in trusted.releases] == ["1.0", "1.1"]
            assert fetcher.left <= 0 or at == 5
