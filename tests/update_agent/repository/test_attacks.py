"""The attacks of the TUF specification (section 1.5.2), and those that no suite has: each against a real server on loopback."""

from __future__ import annotations

import itertools
import json
import random
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from tuf.api.metadata import MetaFile, Root, Signed, Snapshot, TargetFile, Targets, Timestamp

from tests.update_agent.repository.serving import content
from tests.update_agent.repository.world import NOW, Hand, World, block, fetching
from update_agent.errors import UpdateError
from update_agent.repository.errors import (
    AbsentError,
    BootstrapError,
    ExpiredError,
    MismatchError,
    RollbackError,
    SignatureError,
)
from update_agent.repository.fetcher import LONGEST
from update_agent.transport.errors import DeadlineError, PortalError, TooMuchError, TooSlowError
from update_agent.transport.retry import Patience

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.update_agent.repository.serving import Handler, Server
    from update_agent.repository.repository import Repository

ONLINE = ("snapshot-1", "timestamp-1")


def versions(machine: Repository) -> list[str]:
    return [release.version for release in machine.refresh().releases]


def copy(world: World, name: str) -> Path:
    """The repository as it is now, which an attacker has kept."""
    kept = world.place / name
    shutil.copytree(world.folder, kept)
    return kept


def put_back(world: World, kept: Path) -> None:
    shutil.rmtree(world.folder)
    shutil.copytree(kept, world.folder)


def relink(world: World, snapshot: MetaFile, *keys: str, ahead: int = 1) -> None:
    """A timestamp of another snapshot, with a stolen key."""

    def change(signed: Timestamp) -> None:
        signed.version += ahead
        signed.snapshot_meta = snapshot

    world.forge("timestamp.json", "timestamp.json", change, *keys)


def test_a_machine_sees_what_is_published(world: World, server: Server) -> None:
    published = world.publish("1.0", groups=["stable"])
    machine = world.machine(server.url)
    trusted = machine.refresh()
    assert trusted.releases == (published,)
    assert trusted.refused == ()
    assert machine.read(published.index) == b"index of 1.0"
    assert server.asked == [
        "2.root.json",
        "timestamp.json",
        "2.snapshot.json",
        "2.targets.json",
        f"{published.index.sha256}.os_1.0_usr.index",
    ]
    assert machine.blob_url(published.blob) == f"{server.url}/blobs/{published.blob}"
    server.requests.clear()
    assert world.machine(server.url).refresh() == trusted
    assert server.asked == ["2.root.json", "timestamp.json"]


# Of the specification


def test_arbitrary_installation_of_a_file_with_the_right_name_and_length(world: World, server: Server) -> None:
    index = world.publish().index
    server.answers[f"{index.sha256}.{index.name}"] = lambda handler: handler.reply(b"INDEX OF 1.0")
    machine = world.machine(server.url)
    (release,) = machine.refresh().releases
    with pytest.raises(MismatchError, match="does not match expected hash"):
        machine.read(release.index)


def test_arbitrary_installation_by_metadata_that_a_stranger_signed(world: World, server: Server) -> None:
    world.publish("1.0")
    stranger = World(world.place / "stranger")
    stranger.publish("1.0")
    stranger.publish("6.6.6")
    machine = world.machine(server.url)
    for name in ("timestamp.json", "2.snapshot.json", "2.targets.json"):
        server.answers = {name: content(stranger.metadata(name).read_bytes())}
        with pytest.raises((SignatureError, MismatchError)):
            machine.refresh()
    server.answers = {}
    server.folder = stranger.folder
    with pytest.raises(SignatureError):
        world.machine(server.url, "other").refresh()


def test_endless_data(world: World, server: Server) -> None:
    world.publish()

    def endless(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.drip(itertools.repeat(b"{" * 65536))

    machine = world.machine(server.url)
    (release,) = machine.refresh().releases
    before, server.sent = server.sent, 0
    for name in ("2.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json"):
        server.answers = {name: endless}
        with pytest.raises(TooMuchError):
            world.machine(server.url, f"for-{name}").refresh()
    server.answers = {f"{release.index.sha256}.{release.index.name}": endless}
    with pytest.raises(TooMuchError, match="the 12 bytes"):
        machine.read(release.index)
    assert before == 0
    assert server.sent < 64 << 20


def test_endless_data_with_a_stolen_key_that_signs_any_length(world: World, server: Server) -> None:
    relink(world, MetaFile(2, 1 << 50, {"sha256": "0" * 64}), "timestamp-1")

    def endless(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.drip(itertools.repeat(bytes(1 << 16)))

    server.answers["2.snapshot.json"] = endless
    with pytest.raises(TooMuchError):
        world.machine(server.url).refresh()
    assert server.sent < LONGEST + (16 << 20)


def test_fast_forward_and_how_a_repository_recovers(world: World, server: Server) -> None:
    world.publish("1.0")
    kept = copy(world, "kept")
    far = 1 << 40

    def ahead(signed: Signed) -> None:
        signed.version = far

    def targets_ahead(signed: Snapshot) -> None:
        signed.version = far + 1
        signed.meta["targets.json"].version = far

    # With the online keys, all numbers go to the sky; a snapshot that names targets that are not there is remembered, too.
    relink(world, world.forge("2.snapshot.json", f"{far}.snapshot.json", ahead, "snapshot-1"), "timestamp-1", ahead=far)
    machine = world.machine(server.url)
    assert versions(machine) == ["1.0"]
    relink(
        world, world.forge("2.snapshot.json", f"{far + 1}.snapshot.json", targets_ahead, "snapshot-1"), "timestamp-1"
    )
    with pytest.raises(UpdateError):
        machine.refresh()
    put_back(world, kept)
    world.publish("1.1")
    with pytest.raises(RollbackError):
        machine.refresh()
    # The keys are exchanged, and what they signed is forgotten.
    world.publisher.rotate("snapshot")
    world.publisher.rotate("timestamp")
    assert versions(machine) == ["1.0", "1.1"]


@pytest.mark.slow
@pytest.mark.parametrize(("role", "days"), [("timestamp", 8), ("snapshot", 31), ("targets", 366), ("root", 731)])
def test_indefinite_freeze(world: World, server: Server, role: str, days: int) -> None:
    world.publish("1.0")
    machine = world.machine(server.url)
    machine.refresh()
    world.hand.pass_days(days)
    # All but the role are fresh.
    order = ["root", "targets", "snapshot", "timestamp"]
    now = world.hand.date
    for other in order[order.index(role) + 1 :]:
        keys = [f"{other}-1"]
        if other == "timestamp":
            name = f"{world.load('timestamp.json').signed.snapshot_meta.version}.snapshot.json"
            meta = MetaFile.from_data(int(name.partition(".")[0]), world.metadata(name).read_bytes(), ["sha256"])

            def fresh(signed: Timestamp, meta: MetaFile = meta) -> None:
                signed.version, signed.expires, signed.snapshot_meta = signed.version + 1, now.replace(year=2099), meta

            world.forge("timestamp.json", "timestamp.json", fresh, *keys)
        elif other == "snapshot":

            def fresher(signed: Signed) -> None:
                signed.expires = now.replace(year=2099)

            world.forge("2.snapshot.json", "2.snapshot.json", fresher, *keys)
    with pytest.raises(ExpiredError, match=f"its {role} expired") as caught:
        world.machine(server.url, "new").refresh()
    assert caught.value.role == role
    with pytest.raises(UpdateError):
        machine.refresh()


def test_freeze_is_noticed_by_a_machine_that_was_there_before(world: World, server: Server) -> None:
    machine = world.machine(server.url)
    machine.refresh()
    world.hand.pass_days(7.5)
    with pytest.raises(
        ExpiredError, match="its timestamp expired on 2026-12-08 12:00 UTC, and it is 2026-12-09 00:00 UTC here"
    ):
        machine.refresh()
    world.publisher.refresh()
    assert machine.refresh().expires["timestamp"] > world.hand.date


def test_mix_and_match_of_files_of_different_moments(world: World, server: Server) -> None:
    world.publish("1.0")
    world.publish("1.1")
    for name, old in (("3.snapshot.json", "2.snapshot.json"), ("3.targets.json", "2.targets.json")):
        server.answers = {name: content(world.metadata(old).read_bytes())}
        with pytest.raises(MismatchError):
            world.machine(server.url, f"for-{name}").refresh()


def test_rollback_of_the_timestamp(world: World, server: Server) -> None:
    old = world.metadata("timestamp.json").read_bytes()
    world.publish("1.0")
    machine = world.machine(server.url)
    machine.refresh()
    server.answers["timestamp.json"] = lambda handler: handler.reply(old)
    with pytest.raises(RollbackError):
        machine.refresh()


def test_rollback_of_the_snapshot_with_a_stolen_timestamp_key(world: World, server: Server) -> None:
    world.publish("1.0")
    world.publish("1.1")
    machine = world.machine(server.url)
    machine.refresh()
    relink(world, MetaFile.from_data(2, world.metadata("2.snapshot.json").read_bytes(), ["sha256"]), "timestamp-1")
    with pytest.raises(RollbackError, match="snapshot version"):
        machine.refresh()


def test_rollback_of_the_targets_with_all_stolen_online_keys(world: World, server: Server) -> None:
    world.publish("1.0")
    world.publish("1.1")
    machine = world.machine(server.url)
    machine.refresh()
    old = world.load("2.snapshot.json").signed.meta["targets.json"]

    def back(signed: Snapshot) -> None:
        signed.version += 1
        signed.meta["targets.json"] = old

    relink(world, world.forge("3.snapshot.json", "4.snapshot.json", back, "snapshot-1"), "timestamp-1")
    with pytest.raises(RollbackError, match=r"targets\.json"):
        machine.refresh()


def test_rollback_of_the_root(world: World, server: Server) -> None:
    world.publisher.rotate("root")
    world.publisher.rotate("root")
    machine = world.machine(server.url)
    machine.refresh()
    for old in ("1.root.json", "2.root.json", "3.root.json"):
        server.answers["4.root.json"] = content(world.metadata(old).read_bytes())
        with pytest.raises((RollbackError, SignatureError)):
            machine.refresh()
    server.answers = {}
    assert machine.refresh().versions["root"] == 3


@pytest.mark.parametrize("where", ["body", "headers"])
@pytest.mark.parametrize("name", ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"])
def test_slow_retrieval(world: World, server: Server, where: str, name: str) -> None:
    def slow(handler: Handler) -> None:
        if where == "body":
            handler.send_response(200)
            handler.send_header("Content-Length", "300")
            handler.end_headers()
        else:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        handler.drip(itertools.repeat(b"x", 60000), hand.looks)

    server.answers[name] = slow
    hand = Hand(tick=0.5)
    machine = world.machine(server.url, fetcher=fetching(hand, patience=Patience(failures=1)))
    with pytest.raises((TooSlowError, DeadlineError)):
        machine.refresh()
    # Those that were fetched before it, too: one deadline holds for the whole.
    assert hand.seconds < 110


def test_wrong_software_a_true_file_under_the_name_of_another(world: World, server: Server) -> None:
    old, new = world.publish("1.0").index, world.publish("1.1").index
    server.answers[f"{new.sha256}.{new.name}"] = lambda handler: handler.reply(b"index of 1.0")
    machine = world.machine(server.url)
    machine.refresh()
    with pytest.raises(MismatchError):
        machine.read(new)
    assert machine.read(old) == b"index of 1.0"


def test_wrong_software_a_release_that_says_it_is_another(world: World, server: Server) -> None:
    world.publish("1.0")

    def swap(signed: Targets) -> None:
        signed.version += 1
        file = signed.targets["os_1.0_usr.index"]
        signed.targets["os_1.1_usr.index"] = TargetFile(
            file.length, file.hashes, "os_1.1_usr.index", dict(file.unrecognized_fields)
        )

    forge_targets(world, swap)
    trusted = world.machine(server.url).refresh()
    assert [release.version for release in trusted.releases] == ["1.0"]
    assert [error.target for error in trusted.refused] == ["os_1.1_usr.index"]


def forge_targets(world: World, change: Callable[[Targets], object]) -> None:
    """What only the targets key can do, or a mistake of the pipeline."""
    number = world.load("timestamp.json").signed.snapshot_meta.version
    meta = world.load(f"{number}.snapshot.json").signed.meta["targets.json"].version
    targets = world.forge(f"{meta}.targets.json", f"{meta + 1}.targets.json", change, "targets-1")

    def follow(signed: Snapshot) -> None:
        signed.version += 1
        signed.meta["targets.json"] = targets

    relink(
        world,
        world.forge(f"{number}.snapshot.json", f"{number + 1}.snapshot.json", follow, "snapshot-1"),
        "timestamp-1",
    )


@pytest.mark.parametrize("stolen", [["root-1"], ["root-3"], ["root-1", *ONLINE, "targets-1"]])
def test_keys_below_the_threshold_change_no_root(world: World, server: Server, stolen: list[str]) -> None:
    world.publish("1.0")

    def take_over(signed: Root) -> None:
        signed.version += 1
        for role in signed.roles.values():
            role.threshold = 1

    world.forge("1.root.json", "2.root.json", take_over, *stolen)
    with pytest.raises(SignatureError, match="signed by 1/2 keys"):
        world.machine(server.url).refresh()


def test_one_key_that_signs_twice_under_two_names_is_one_key(world: World, server: Server) -> None:
    def twice(signed: Signed) -> None:
        signed.version += 1

    world.forge("1.root.json", "2.root.json", twice, "root-1")
    data = json.loads(world.metadata("2.root.json").read_text())
    other = next(key for key in data["signed"]["roles"]["root"]["keyids"] if key != data["signatures"][0]["keyid"])
    data["signatures"].append({**data["signatures"][0], "keyid": other})
    world.metadata("2.root.json").write_text(json.dumps(data))
    with pytest.raises(SignatureError, match="1/2"):
        world.machine(server.url).refresh()


def test_the_online_keys_add_no_release(world: World, server: Server) -> None:
    world.publish("1.0")

    def add(signed: Targets) -> None:
        signed.version += 1
        signed.targets["os_6.6.6_usr.index"] = TargetFile(1, {"sha256": "0" * 64}, "os_6.6.6_usr.index")

    targets = world.forge("2.targets.json", "3.targets.json", add, *ONLINE)

    def follow(signed: Snapshot) -> None:
        signed.version += 1
        signed.meta["targets.json"] = targets

    relink(world, world.forge("2.snapshot.json", "3.snapshot.json", follow, "snapshot-1"), "timestamp-1")
    with pytest.raises(SignatureError, match="targets was signed by 0/1"):
        world.machine(server.url).refresh()


def test_a_key_that_was_revoked_signs_nothing_any_more(world: World, server: Server) -> None:
    world.publish("1.0")
    machine = world.machine(server.url)
    machine.refresh()
    world.publisher.rotate("timestamp")
    machine.refresh()

    def ahead(signed: Signed) -> None:
        signed.version += 1

    world.forge("timestamp.json", "timestamp.json", ahead, "timestamp-1")
    with pytest.raises(SignatureError):
        machine.refresh()


# Those that the specification's suite has no test for


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/etc/passwd", ".hidden", "..", "a\nb", "\u202egpj.index", "a/b.index"]
)
def test_a_target_with_the_name_of_a_path_is_no_release_and_stops_no_other(
    world: World, server: Server, name: str
) -> None:
    world.publish("1.0")

    def add(signed: Targets) -> None:
        signed.version += 1
        signed.targets[name] = TargetFile(1, {"sha256": "0" * 64}, name, {"custom": {"slotboot": block()}})

    forge_targets(world, add)
    before = sorted(path.name for path in world.place.rglob("*"))
    trusted = world.machine(server.url).refresh()
    assert [release.version for release in trusted.releases] == ["1.0"]
    assert [error.target for error in trusted.refused] == [name]
    assert "\n" not in str(trusted.refused[0])
    new = {path.name for path in world.place.rglob("*")} - set(before)
    assert new == {"state", "root_history", "root.json", "timestamp.json", "snapshot.json", "targets.json"} - set(
        before
    )


@pytest.mark.parametrize(
    ("hashes", "length"),
    [
        ({"md5": "0" * 32}, 1),
        ({"sha256": "../../x"}, 1),
        ({"sha256": "0" * 63 + "G"}, 1),
        ({"sha256": "0" * 64}, True),
        ({"sha256": "0" * 64}, 1),
    ],
)
def test_a_target_without_a_usable_hash_or_length_is_refused(
    world: World, server: Server, hashes: dict[str, str], length: int
) -> None:
    world.publish("1.0")

    def change(signed: Targets) -> None:
        signed.version += 1
        good = signed.targets["os_1.0_usr.index"].unrecognized_fields
        signed.targets["os_1.0_usr.index"] = TargetFile(length, hashes, "os_1.0_usr.index", good)

    forge_targets(world, change)
    trusted = world.machine(server.url).refresh()
    usable = hashes == {"sha256": "0" * 64} and length is not True
    assert (len(trusted.releases), len(trusted.refused)) == ((1, 0) if usable else (0, 1))


@pytest.mark.parametrize(
    "change",
    [{"name": "other-product"}, {"slot": "root"}, {"slot-type": "esp"}, {"slot-type": "nothing"}, {"version": "2"}, {}],
)
def test_wrong_product_slot_or_slot_type_is_no_release(world: World, server: Server, change: dict[str, str]) -> None:
    """Signed by the key that may: what a release says of itself is what its name says, and a slot is of a type of slots."""
    world.publish("1.0")

    def add(signed: Targets) -> None:
        signed.version += 1
        good = signed.targets["os_1.0_usr.index"].unrecognized_fields["custom"]["slotboot"]
        custom = {"slotboot": {**good, "version": "1.1", **change}}
        signed.targets["os_1.1_usr.index"] = TargetFile(1, {"sha256": "0" * 64}, "os_1.1_usr.index", {"custom": custom})

    forge_targets(world, add)
    trusted = world.machine(server.url).refresh()
    # Without a change it would be one.
    assert [release.version for release in trusted.releases] == (["1.0"] if change else ["1.0", "1.1"])
    assert [error.target for error in trusted.refused] == (["os_1.1_usr.index"] if change else [])


@pytest.mark.parametrize("more", [1, 1 << 20])
def test_an_index_that_is_longer_than_was_signed_is_not_read(world: World, server: Server, more: int) -> None:
    index = world.publish("1.0").index
    server.answers[f"{index.sha256}.{index.name}"] = lambda handler: handler.reply(b"index of 1.0" + bytes(more))
    machine = world.machine(server.url)
    machine.refresh()
    with pytest.raises(TooMuchError, match="more than the 12 bytes"):
        machine.read(index)


def test_a_captive_portal_that_answers_everything_with_a_page(world: World, server: Server) -> None:
    server.always = lambda handler: handler.reply(b"<html>Accept the terms!</html>", Content_Type="text/html")
    with pytest.raises(PortalError, match="a web page came in place of metadata"):
        world.machine(server.url).refresh()
    # In the middle of a refresh, too.
    server.answers["2.root.json"] = lambda handler: handler.reply(b"", 404)
    with pytest.raises(PortalError, match=r"timestamp\.json"):
        world.machine(server.url).refresh()


def test_a_server_without_a_repository(world: World, server: Server) -> None:
    server.folder = world.place / "nothing"
    with pytest.raises(AbsentError, match=r"timestamp\.json: the server has no such file \(404"):
        world.machine(server.url).refresh()


def test_a_root_that_the_system_was_built_with_and_that_is_none(world: World, server: Server) -> None:
    unsigned = json.loads(world.bootstrap)
    unsigned["signatures"] = unsigned["signatures"][:1]
    for bootstrap in (b"", b"{}", json.dumps(unsigned).encode(), world.metadata("timestamp.json").read_bytes()):
        with pytest.raises(BootstrapError, match="the root that this system was built with cannot be used"):
            world.machine(server.url, bootstrap=bootstrap).refresh()
    assert server.asked == []


@pytest.mark.slow
def test_a_machine_two_rotations_of_all_keys_behind(world: World, server: Server) -> None:
    world.publish("1.0")
    machine = world.machine(server.url)
    machine.refresh()
    for version in ("1.1", "1.2"):
        for role in ("root", "targets", "snapshot", "timestamp"):
            world.publisher.rotate(role)
        world.publish(version)
    world.hand.pass_days(6)
    assert versions(machine) == ["1.0", "1.1", "1.2"]
    assert versions(world.machine(server.url, "wiped")) == ["1.0", "1.1", "1.2"]


def test_a_machine_that_was_on_a_shelf_longer_than_its_root_holds(world: World, server: Server) -> None:
    world.publish("1.0")
    machine = world.machine(server.url)
    machine.refresh()
    for _ in range(20):
        world.hand.pass_days(60)
        world.publisher.refresh()
    assert world.hand.date.year == 2030
    world.publish("2.0")
    assert versions(machine) == ["1.0", "2.0"]
    assert versions(world.machine(server.url, "wiped")) == ["1.0", "2.0"]


@pytest.mark.parametrize("year", [1970, 2000])
def test_a_clock_before_the_build_counts_as_the_build(world: World, server: Server, year: int) -> None:
    world.publish("1.0")
    early = Hand(datetime(year, 1, 1, tzinfo=UTC))
    machine = world.machine(server.url, clock=early.clock(), floor=NOW)
    assert versions(machine) == ["1.0"]
    # What had expired when the system was built is not believed in 1970 either.
    late = world.machine(server.url, "late", clock=early.clock(), floor=NOW.replace(month=12, day=9))
    with pytest.raises(ExpiredError, match="it is 2026-12-09 12:00 UTC here"):
        late.refresh()


def test_a_clock_in_2099_is_named_and_spoils_nothing(world: World, server: Server) -> None:
    world.publish("1.0")
    wrong = Hand(datetime(2099, 1, 1, tzinfo=UTC))
    with pytest.raises(ExpiredError, match=r"it is 2099-01-01 00:00 UTC here: .*set the clock") as caught:
        world.machine(server.url, clock=wrong.clock()).refresh()
    assert caught.value.role == "root"
    assert versions(world.machine(server.url)) == ["1.0"]


@pytest.mark.slow
def test_whatever_is_served_instead_of_metadata_is_one_error_of_ours(world: World, server: Server) -> None:
    world.publish("1.0")
    chance = random.Random(14)
    names = ["2.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json"]
    originals = {name: world.metadata(name.replace("2.root", "1.root")).read_bytes() for name in names}
    odd = [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"signed": {}, "signatures": []}',
        b"[" * 100000,
        b"\xff\xfe",
        b"1" * 5000,
        b'{"a":1e999}',
    ]
    for name in names:
        for number in range(25):
            data = bytearray(originals[name])
            for _ in range(chance.randrange(1, 4)):
                place = chance.randrange(len(data))
                data[place : place + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
            served = odd[number] if number < len(odd) else bytes(data)
            if served == originals[name]:
                continue
            server.answers = {name: content(served)}
            with pytest.raises(UpdateError) as caught:
                world.machine(server.url, f"{name}-{number}").refresh()
            assert "\n" not in str(caught.value)


def test_fields_of_the_wrong_type_that_are_properly_signed_are_one_error_of_ours(world: World, server: Server) -> None:
    """With a stolen timestamp key: nothing that it can sign is a traceback."""
    good = json.loads(world.metadata("timestamp.json").read_text())["signed"]
    changes: list[dict[str, Any]] = [
        {"version": -1}, {"version": "2"}, {"version": 2.5}, {"version": None}, {"version": [2]}, {"expires": "tomorrow"},
        {"expires": 5}, {"meta": {}}, {"meta": []}, {"meta": {"snapshot.json": {"version": 0}}},
        {"meta": {"snapshot.json": {"version": 1, "length": "x"}}}, {"meta": {"snapshot.json": {"version": 1, "hashes": {"rot13": "x"}}}},
        {"meta": {"snapshot.json": {"version": 1, "hashes": []}}}, {"_type": "root"}, {"spec_version": "2.0"}, {"_type": ["timestamp"]},
    ]  # fmt: skip
    (signer,) = world.signers("timestamp-1")
    for number, change in enumerate(changes):
        signed = {**good, "version": 2, **change}
        text = json.dumps(signed, sort_keys=True, separators=(",", ":"))
        signature = {"keyid": signer.public_key.keyid, "sig": signer.sign(text.encode()).signature}
        world.metadata("timestamp.json").write_text(json.dumps({"signed": signed, "signatures": [signature]}))
        with pytest.raises(UpdateError):
            world.machine(server.url, f"state-{number}").refresh()
