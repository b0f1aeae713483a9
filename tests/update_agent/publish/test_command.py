"""``updatectl publish``: the whole life of a repository through the command line, as machines and other tools see it."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.update_agent.publish.built import KERNEL, answer, build, contents, image, made_of, process, publish, unpacked
from tests.update_agent.publish.place import NEW, OLD, Place
from tests.update_agent.updates import updatectl

if TYPE_CHECKING:
    from tests.update_agent.repository.serving import Handler, Server

MIB = 1 << 20
# The story


def test_from_a_keypair_to_updates_that_are_promoted_and_withdrawn(place: Place) -> None:
    assert place.versions() == []
    place.add("1.0", OLD)
    machine = place.machine()
    (first,) = machine.refresh().releases
    assert (first.groups, first.size, first.kernel_releases) == (("alpha",), len(OLD), (KERNEL,))
    assert unpacked(machine, place.folder, first) == OLD
    told = place.add("1.1", NEW, "--wave", "2026-12-01T00:00:00Z=10", "--minimum-version", "0.9")
    assert [delta["from"] for delta in told["deltas"]] == ["1.0"]  # type: ignore[attr-defined]
    _, second = machine.refresh().releases
    assert (second.minimum_version, [wave.percent for wave in second.waves]) == ("0.9", [10])
    (delta,) = second.deltas
    assert delta.from_sha256 == hashlib.sha256(OLD).hexdigest()
    assert made_of(machine, place.folder, delta, OLD) == NEW == unpacked(machine, place.folder, second)
    assert delta.compressed < second.compressed / 100
    uploaded = place.blobs()
    publish("promote", place.folder, "1.1", "stable", "--keys", place.keys, "--wave", "2026-12-24T00:00:00Z=50")
    _, second = machine.refresh().releases
    assert (second.groups, [wave.percent for wave in second.waves]) == (("alpha", "stable"), [50])
    assert place.blobs() == uploaded
    publish("withdraw", place.folder, "1.1", "alpha", "--keys", place.keys)
    assert machine.refresh().releases[1].groups == ("stable",)
    publish("withdraw", place.folder, "1.1", "--keys", place.keys)
    assert place.versions() == ["1.0"]
    publish("check", place.folder, "--deep")


def test_zstd_itself_unpacks_what_was_published(place: Place, tmp_path: Path) -> None:
    content = image(3, 9 * MIB)
    place.add("1.0", content)
    (blob,) = (place.folder / "blobs").iterdir()
    subprocess.run(["zstd", "-q", "-d", blob, "-o", tmp_path / "image"], check=True)
    assert (tmp_path / "image").read_bytes() == content
    sums = subprocess.run(["sha256sum", blob], capture_output=True, text=True, check=True).stdout
    assert blob.name == f"{sums.split()[0]}.frames"
    # Whatever the umask is, for the web server.
    assert blob.stat().st_mode & 0o777 == 0o644


def test_the_words_may_be_options(tmp_path: Path) -> None:
    folder, keys = tmp_path / "r", tmp_path / "k"
    publish(folder, "--init", "--keys", keys)
    update = build(tmp_path / "out", "1.0", OLD)
    publish(folder, "--add", update, "--keys", keys, "--group", "alpha")
    publish(folder, "--promote", "1.0", "beta", "--keys", keys)
    publish("--refresh", folder, "--keys", keys)
    publish("--keys", keys, "--rotate", folder, "timestamp")
    assert answer(folder, "--check", "--deep")["releases"][0]["groups"] == ["alpha", "beta"]
    listed = answer(folder, "--list", "--keys", keys)
    assert listed["roles"]["timestamp"]["keys"][0]["file"] == "timestamp-2.pem"
    publish(folder, "--withdraw", "1.0", "--keys", keys)
    publish(folder, "--prune", "--grace", "0")
    # A folder with such a name is one where a command stands before it.
    assert updatectl("publish", "list", "--", "--check").exit_code == 1
    assert updatectl("publish", "--", "--check").exit_code == 2
    # And an option that is none of its own is no command there.
    assert "No such option" in updatectl("publish", "list", folder, "--check").stderr


def test_what_is_printed_for_people(place: Place) -> None:
    place.add("1.0", OLD)
    place.add("1.1", NEW, "--wave", "2026-12-01T00:00:00Z=10")
    listed = publish("list", place.folder, "--keys", place.keys).stdout
    first, second, *roles = listed.splitlines()
    size = place.machine().refresh().releases[0].compressed
    assert first == f"os 1.0 for usr: alpha; {size} bytes of 150000 bytes, deltas from none"
    assert second.startswith("os 1.1 for usr: alpha (10 % from 2026-12-01 00:00 UTC); ")
    assert second.endswith(", deltas from 1.0")
    assert [line.split()[0] for line in roles[:4]] == ["root", "timestamp", "snapshot", "targets"]
    assert [line.split()[-1] for line in roles[4:]].count("root-2.pem") == 1
    assert "root-2.pem" not in publish("list", place.folder).stdout
    checked = publish("check", place.folder).stdout
    assert "metadata, indexes and the sizes of bulk data: as signed; believed until 20" in checked
    assert "os 1.1 for usr: not for alpha any more; for nobody" in (
        publish("withdraw", place.folder, "1.1", "alpha", "--keys", place.keys).stdout
    )
    assert "timestamp  holds until 20" in publish("refresh", place.folder, "--keys", place.keys).stdout


# A repository that is looked at


@pytest.mark.slow
def test_check_reads_all_of_it_when_it_is_deep(place: Place, served: Server) -> None:
    place.add("1.0", OLD)
    place.add("1.1", NEW)
    for where in (place.folder, served.url):
        publish("check", where, "--deep")
    blobs = {path.suffix: path for path in (place.folder / "blobs").iterdir() if path.suffix == ".delta"}
    damaged = [blobs[".delta"], place.folder / "blobs" / place.machine().refresh().releases[0].blob]
    for path in damaged:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    for where in (place.folder, served.url):
        publish("check", where)
        found = updatectl("publish", "check", where, "--deep", "--json")
        problems = json.loads(found.stdout)["problems"]
        assert (found.exit_code, len(problems)) == (1, 2)
        assert {problem.partition(":")[0] for problem in problems} == {path.name for path in damaged}
        assert all(f"updatectl: {problem}\n" in found.stderr for problem in problems)


def test_a_server_that_is_busy_for_a_moment_is_asked_again(place: Place, served: Server) -> None:
    place.add("1.0", OLD)
    (blob,) = (place.folder / "blobs").iterdir()
    asked: list[str] = []

    def busy_once(handler: Handler) -> None:
        if handler.command == "GET" and not asked:
            asked.append(handler.path)
            handler.reply(b"", 503, Retry_After=0)
        else:
            handler.file()

    served.answers[blob.name] = busy_once
    publish("check", served.url, "--deep")
    assert asked == [f"/blobs/{blob.name}"]


def test_a_server_that_knows_no_ranges_is_found_out(place: Place, served: Server) -> None:
    place.add("1.0", OLD)
    served.ranges = False
    found = updatectl("publish", "check", served.url, "--deep")
    assert (found.exit_code, "the whole file where a range was asked for" in found.stderr) == (1, True)


def test_an_index_that_no_machine_takes_is_found_without_reading_blobs(place: Place) -> None:
    from update_agent.publish.publisher import Publisher

    place.add("1.0", OLD)
    (blob,) = (place.folder / "blobs").iterdir()
    (index,) = (place.folder / "targets").iterdir()
    release = place.machine().refresh().releases[0]
    block = {
        "name": "os",
        "slot": "usr",
        "slot-type": "coreos-usr",
        "groups": ["alpha"],
        "size": len(OLD),
        "sha256": "0" * 64,
        "blob": blob.name,
        "compressed": release.compressed,
        "kernel-releases": [],
        "own-kernel": False,
        "root-hash": None,
        "minimum-version": None,
    }
    publisher = Publisher(place.folder, [place.keys])
    publisher.add_release(b"no index", {**block, "version": "1.1"})
    publisher.add_release(index.read_bytes(), {**block, "version": "1.2"})
    found = updatectl("publish", "check", place.folder)
    assert found.exit_code == 1
    assert [line.split(": ", 2)[1] for line in found.stderr.splitlines()] == ["os_1.1_usr.index", "os_1.2_usr.index"]


# Around it


def on_a_terminal(*words: object, before: str = "") -> str:
    """What a terminal is given by ``updatectl publish`` with these words."""
    main, other = pty.openpty()
    done = process(*words, before=before, stderr=other, env={**os.environ, "TERM": "xterm"})
    os.close(other)
    assert done.returncode == 0
    shown = b""
    try:
        while data := os.read(main, 1 << 16):
            shown += data
    except OSError:  # what the end of a terminal is
        os.close(main)
    return shown.decode()


@pytest.mark.slow
def test_progress_is_lines_in_a_pipe_and_a_bar_on_a_terminal(place: Place) -> None:
    def words(version: str, seed: int) -> list[object]:
        update = place.build(version, image(seed, 4 * MIB))
        return ["add", place.folder, update, "--keys", place.keys, "--group", "alpha", "--deltas", "0"]

    shown = on_a_terminal(*words("1.0", 5))
    assert "\x1b[" in shown
    assert "6.0/6.0 MiB" in shown
    lines = "compress: 66 % of 6291456 bytes\ncompress: 100 % of 6291456 bytes\n"
    assert process(*words("1.1", 6)).stderr == lines
    without = on_a_terminal(*words("1.2", 7), before="sys.modules['rich'] = None")
    assert without.replace("\r", "") == lines
    assert process(*words("1.3", 8), "--json").stderr == ""


def test_a_signal_ends_it_with_one_line_that_says_what_holds(place: Place) -> None:
    place.add("1.0", OLD)
    stop = (
        "import os, signal, update_agent.publish.blobs as blobs\n"
        "blobs.Blobs.append = lambda *_: os.kill(os.getpid(), signal.SIGTERM)"
    )
    done = process("add", place.folder, place.build("1.1", NEW), "--keys", place.keys, "--group", "a", before=stop)
    assert done.returncode == 143
    assert done.stderr.count("\n") == 1
    assert "readers see the repository of before or the new one" in done.stderr
    assert place.versions() == ["1.0"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cryptography", "tuf", "backports.zstd", "update_agent.publish"])
def test_a_machine_has_the_command_without_the_libraries_and_is_told_so(tmp_path: Path, name: str) -> None:
    gone = f"sys.modules[{name!r}] = None"
    for words in (["list", tmp_path], ["check", tmp_path], ["init", tmp_path / "r", "--keys", tmp_path / "k"]):
        done = process(*words, before=gone)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"updatectl: publishing needs the Python package {name}")
        assert done.stderr.endswith(", which is not here: pip install 'slotboot[publish]'\n")
        assert done.stderr.count("\n") == 1
    assert process("add", "--help", before=gone).returncode == 0


def test_an_ordinary_call_loads_nothing_that_publishes() -> None:
    program = "import sys, update_agent.cli.main; print(*sys.modules, sep='\\n')"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not [name for name in loaded if name.startswith(("update_agent.publish", "tuf", "cryptography", "rich"))]


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_leaves_the_old_repository(place: Place) -> None:
    place.add("1.0", OLD)
    before = contents(place.folder)
    limit = "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    for most in (90_000, 120_000):  # not even the frames; the frames, and not the old image
        update = place.build("1.1", NEW)
        before_it = f"{limit}resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, {most}))"
        done = process("add", place.folder, update, "--keys", place.keys, "--group", "alpha", before=before_it)
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].endswith("File too large")
        assert done.stderr.count("updatectl: ") == 1
        after = contents(place.folder)
        assert set(after) - set(before) <= {name for name in after if name.endswith(".frames")}
        assert place.versions() == ["1.0"]
    place.add("1.1", NEW)
    assert place.versions() == ["1.0", "1.1"]


@pytest.mark.slow
def test_an_output_that_nobody_reads_does_not_undo_what_was_done(place: Place) -> None:
    update = place.build("1.0", OLD)
    with Path("/dev/full").open("w") as full:
        argv = [sys.executable, "-m", "update_agent.entry", "publish", "add", place.folder, update]
        done = subprocess.run(
            [*map(str, argv), "--keys", str(place.keys), "--group", "alpha"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, "done, but it cannot be shown" in done.stderr) == (0, True)
    assert place.versions() == ["1.0"]
