"""What ``updatectl publish add`` makes of artifacts, and what it refuses."""

from __future__ import annotations

import hashlib
import io
import json
import threading
from typing import TYPE_CHECKING

import pytest

from tests.update_agent.publish.built import KERNEL, build, contents, image, patched, process, publish
from tests.update_agent.publish.place import NEW, OLD, Place
from tests.update_agent.updates import refusal, updatectl
from update_agent.payload.frames import write_frames

if TYPE_CHECKING:
    from pathlib import Path

    from tests.update_agent.repository.world import Hand

# What is published


def test_the_same_update_again_changes_nothing(place: Place) -> None:
    assert place.add("1.0", OLD)["new"] is True
    publish("promote", place.folder, "1.0", "beta", "--keys", place.keys)
    before = contents(place.folder)
    assert place.add("1.0", OLD)["new"] is False
    assert contents(place.folder) == before
    words = ["add", place.folder, place.path / "out-1.0", "--keys", place.keys]
    assert "published already: nothing was written" in publish(*words, "--group", "beta").stdout
    refused = refusal(updatectl("publish", *words, "--group", "stable"))
    assert "os 1.0 is published already, for alpha, beta; promote changes groups and waves" in refused
    refusal(updatectl("publish", *words, "--group", "alpha", "--wave", "2026-12-01T00:00:00Z=10"))
    for content, changes in ((NEW, {}), (OLD, {"kernels": ("6.2",)}), (OLD, {"root_hash": "ab" * 32})):
        place.build("1.0", content, **changes)
        assert "give the new one a new version" in refusal(updatectl("publish", *words, "--group", "alpha"))
    assert contents(place.folder) == before


def test_deltas_are_from_the_last_three_releases_of_the_same_slot(place: Place, hand: Hand) -> None:
    # The last ones by date, whatever they are called.
    for number, version in enumerate(["1.3", "1.1", "1.2", "1.0"]):
        place.add(version, patched(OLD, number))
        hand.pass_days(0.1)
    for changes in ({"name": "other"}, {"slot": "root"}, {"slot_type": "root-x86-64"}):
        folder = place.path / str(len(list(place.path.iterdir())))
        build(folder, f"1.3.{changes.popitem()[1]}", OLD, **{"slot": "b", **changes})
        publish("add", place.folder, folder, "--keys", place.keys, "--group", "alpha")
    told = place.add("2.0", patched(OLD, 9))
    assert {delta["from"] for delta in told["deltas"]} == {"1.0", "1.1", "1.2"}  # type: ignore[attr-defined]
    assert place.add("2.1", patched(OLD, 10), "--deltas", "0")["deltas"] == []
    publish("check", place.folder, "--deep")


def test_a_delta_that_is_not_smaller_is_left_out_and_said_so(place: Place) -> None:
    place.add("1.0", OLD)
    update = place.build("1.1", image(77))
    result = publish("add", place.folder, update, "--keys", place.keys, "--group", "alpha")
    assert "updatectl: no delta from 1.0: it would not be smaller than the whole image" in result.stderr
    assert place.machine().refresh().releases[1].deltas == ()
    assert not [name for name in place.blobs() if not name.endswith(".frames")]


@pytest.mark.parametrize("damage", ["gone", "cut", "changed", "index", "no index", "another"])
def test_an_old_release_that_is_damaged_costs_the_delta_and_not_the_update(place: Place, damage: str) -> None:
    place.add("1.0", OLD)
    (blob,) = (place.folder / "blobs").iterdir()
    (index,) = (place.folder / "targets").iterdir()
    if damage == "gone":
        blob.unlink()
    elif damage == "index":
        index.write_bytes(index.read_bytes().replace(b"1", b"2", 1))
    elif damage == "no index":
        index.unlink()
    elif damage == "another":
        with blob.open("wb") as file:
            index.write_bytes(write_frames(io.BytesIO(patched(OLD, 9)), file).index.encode())
    else:
        data = blob.read_bytes()
        blob.write_bytes(data[:-1] if damage == "cut" else data[:50_000] + b"?" + data[50_001:])
    update = place.build("1.1", NEW)
    result = publish("add", place.folder, update, "--keys", place.keys, "--group", "alpha")
    assert "updatectl: no delta from 1.0: " in result.stderr
    assert place.versions() == ["1.0", "1.1"]
    assert place.machine().refresh().releases[1].deltas == ()
    found = updatectl("publish", "check", place.folder, "--deep", "--json")
    assert (found.exit_code, json.loads(found.stdout)["ok"]) == (1, False)


def test_a_blob_that_is_damaged_is_not_overwritten(place: Place) -> None:
    update, words = place.build("1.0", OLD), ["--keys", place.keys, "--group", "alpha"]
    publish("add", place.folder, update, *words)
    (blob,) = (place.folder / "blobs").iterdir()
    publish("withdraw", place.folder, "1.0", "--keys", place.keys)
    blob.write_bytes(b"?" * blob.stat().st_size)
    assert "it is damaged: its SHA-256 is not that of its name" in refusal(
        updatectl("publish", "add", place.folder, update, *words)
    )
    assert [path.name for path in (place.folder / "blobs").iterdir()] == [blob.name]
    blob.unlink()
    publish("add", place.folder, update, *words)
    publish("check", place.folder, "--deep")


def test_two_names_of_one_version(place: Place) -> None:
    place.add("1.0", OLD)
    other = build(place.path / "other", "1.0", OLD, name="other")
    publish("add", place.folder, other, "--keys", place.keys, "--group", "alpha")
    asked = updatectl("publish", "promote", place.folder, "1.0", "beta", "--keys", place.keys)
    assert (asked.exit_code, "of os, other: say which with --name" in asked.output) == (2, True)
    publish("promote", place.folder, "1.0", "beta", "--name", "other", "--keys", place.keys)
    found = place.machine().refresh().releases
    assert {release.name: release.groups for release in found} == {"os": ("alpha",), "other": ("alpha", "beta")}


@pytest.mark.slow
def test_what_several_publishers_add_at_once_is_all_there(place: Place) -> None:
    updates = [place.build(f"1.{number}", image(number, 30_000)) for number in range(4)]
    words = ["--keys", str(place.keys), "--group", "alpha"]
    done: list[int] = []

    def add(update: Path) -> None:
        done.append(process("add", place.folder, update, *words).returncode)

    threads = [threading.Thread(target=add, args=(update,)) for update in updates]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert done == [0] * 4
    assert place.versions() == ["1.0", "1.1", "1.2", "1.3"]
    publish("check", place.folder, "--deep")


# What is refused


def test_damaged_artifacts_are_refused_before_anything_is_written(place: Place) -> None:
    def spoil(name: str, data: bytes | None) -> None:
        if data is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(data)

    slot, manifest = "os_1.0_usr.slot", "os_1.0_usr.json"
    told = (build(place.path / "whole", "1.0", OLD) / manifest).read_text()
    sums = (place.path / "whole/SHA256SUMS").read_text()
    cases = [
        (slot, b"?" + OLD[1:], "copy it again"),
        (slot, OLD[:-1], "it has 149999 bytes"),
        (slot, None, "No such file"),
        (manifest, told.replace("6.1.0", "6.1.1").encode(), "its SHA-256 is not the one in SHA256SUMS"),
        (manifest, None, "no manifest of an update"),
        ("SHA256SUMS", None, "No such file"),
        ("SHA256SUMS", b"", "SHA256SUMS does not name it"),
        (
            "SHA256SUMS",
            sums.replace(hashlib.sha256(OLD).hexdigest(), "0" * 64).encode(),
            "does not say what SHA256SUMS",
        ),
        ("os_2.0_usr.json", b"{}", "there are 2 updates in it, name one of them"),
    ]
    before = contents(place.folder)
    for number, (name, data, problem) in enumerate(cases):
        folder = build(place.path / f"case-{number}", "1.0", OLD)
        spoil(name, data)
        words = ["add", place.folder, folder, "--keys", place.keys, "--group", "alpha"]
        assert problem in refusal(updatectl("publish", *words)), name
        assert contents(place.folder) == before
    # Of several, the one that is meant.
    publish("add", place.folder, folder / manifest, "--keys", place.keys, "--group", "alpha")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("{", "["), "it is not JSON"),
        (('"slot": "usr"', '"slot": 1'), "does not say for which slot"),
        (('"slot": "usr"', '"slot": "root"'), "has another name"),
        (('"kernels": [', '"kernel": ['), "which kernels"),
        (('"verity-root-hash": null', '"verity-root-hash": 5'), "is no text"),
        (('"slot-type": "coreos-usr"', '"slot-type": "esp"'), "slot type"),
        (('"size": 150000', '"size": -1'), "field 'size'"),
        ((KERNEL, "6 1"), "kernel release"),
    ],
)
def test_a_manifest_that_is_none_is_refused(place: Place, change: tuple[str, str], problem: str) -> None:
    folder = place.build("1.0", OLD)
    path, sums = folder / "os_1.0_usr.json", folder / "SHA256SUMS"
    before, text = hashlib.sha256(path.read_bytes()).hexdigest(), path.read_text().replace(*change, 1)
    path.write_text(text)
    sums.write_text(sums.read_text().replace(before, hashlib.sha256(text.encode()).hexdigest()))
    words = ["add", place.folder, folder, "--keys", place.keys, "--group", "alpha"]
    assert problem in refusal(updatectl("publish", *words))
    assert place.blobs() == {}


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--group", "a group"], "the group is 'a group'"),
        (["--group", "alpha", "--minimum-version", "a_b"], "the version is 'a_b'"),
        (
            ["--group", "a", "--wave", "2026-12-02T00:00:00Z=10", "--wave", "2026-12-01T00:00:00Z=20"],
            "dates and percentages must rise",
        ),
        (["--group", "a", "--wave", "2026-13-02T00:00:00Z=10"], "does not match format"),
        (["--group", "a", "--wave", "2026-12-02T00:00:00Z=101"], "'percent' is 101"),
    ],
)
def test_terms_that_machines_would_refuse_cost_no_work(place: Place, words: list[str], problem: str) -> None:
    folder = place.build("1.0", OLD)
    before = contents(place.folder)
    assert problem in refusal(updatectl("publish", "add", place.folder, folder, "--keys", place.keys, *words))
    assert contents(place.folder) == before


@pytest.mark.parametrize(
    "words",
    [
        ["add", "r", "a", "--keys", "k", "--group", "a", "--wave", "tomorrow=10"],
        ["add", "r", "a", "--keys", "k"],
        ["add", "r", "a", "--group", "a"],
        ["init", "r"],
        ["init", "r", "--keys", "k", "--role", "root=2"],
        ["init", "r", "--keys", "k", "--role", "root=2/3/9"],
        ["rotate", "r", "mirrors", "--keys", "k"],
        ["prune", "r", "--keep", "0"],
        ["r", "a"],
    ],
)
def test_a_mistake_in_the_words_is_one_of_usage(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert updatectl("publish", *words).exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_where_there_is_no_repository_one_line_says_so(place: Place, tmp_path: Path) -> None:
    update = place.build("1.0", OLD)
    for words in (
        ["add", tmp_path / "no", update, "--keys", place.keys, "--group", "alpha"],
        ["promote", tmp_path / "no", "1.0", "beta", "--keys", place.keys],
        ["list", tmp_path],
        ["prune", tmp_path],
        ["check", tmp_path / "no"],
        ["refresh", tmp_path, "--keys", place.keys],
    ):
        assert "no repository" in refusal(updatectl("publish", *words))
    assert "there is a repository already" in refusal(updatectl("publish", "init", place.folder, "--keys", place.keys))
    assert "no release" in refusal(updatectl("publish", "withdraw", place.folder, "7", "--keys", place.keys))
