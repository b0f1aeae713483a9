"""gptctl as a whole, and what it reports: help, exit codes, show and verify beyond what Debian's cgpt defines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import gptlib
from gptlib import Disk, Table
from gptlib.cli.main import COMMANDS, OWN_COMMANDS
from tests.gptlib.handmade import Entry, Gpt, zeroed
from tests.gptlib.readers import run, tool
from tests.gptlib.slots import disk_of, slot, two_slots
from tests.gptlib.tables import blank

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def path(ram: Path) -> Path:
    return two_slots(ram)


def test_without_a_command_the_overview_is_shown_and_usage_is_wrong(
    gptctl: Callable[..., tuple[int, str, str]],
) -> None:
    code, out, err = gptctl()
    assert (code, out) == (run("cgpt").returncode, "")
    assert all(name in err for name in (*COMMANDS, *OWN_COMMANDS))


def test_an_unknown_or_ambiguous_command_is_refused_in_one_line(gptctl: Callable[..., tuple[int, str, str]]) -> None:
    for word in ("nonsense", "re"):
        code, out, err = gptctl(word)
        assert code == run("cgpt", "nonsense").returncode
        assert (out, err) == ("", f"ERROR: no command '{word}'; gptctl --help lists them\n")


def test_a_command_may_be_abbreviated_as_in_cgpt(gptctl: Callable[..., tuple[int, str, str]], path: Path) -> None:
    assert gptctl("s", path) == gptctl("show", path)
    assert gptctl("rep", path)[0] == 0
    assert gptctl("v", path) == gptctl("verify", path)


@pytest.mark.parametrize("name", [*COMMANDS, *OWN_COMMANDS])
def test_every_command_has_help(name: str, gptctl: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = gptctl(name, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"\nUsage: gptctl {name} [OPTIONS]")
    assert max(len(line) for line in out.splitlines()) <= 120
    assert out == gptctl(name, "-h")[1]
    assert (COMMANDS | OWN_COMMANDS)[name] in gptctl("--help")[1]


@pytest.mark.parametrize("name", OWN_COMMANDS)
def test_our_own_commands_exit_with_2_for_wrong_usage(name: str, gptctl: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = gptctl(name, "--nonsense")
    assert (code, out) == (2, "")
    assert err == f"ERROR: unrecognized option: --nonsense; see gptctl {name} --help\n"
    assert gptctl(name)[0] == 2


def test_the_version_tells_which_crc_code_is_in_use(gptctl: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = gptctl("--version")
    assert code == 0
    assert out.startswith(f"gptctl (slotboot) {gptlib.__version__}; ")
    assert "CRC-32 by crcmod " in out


def test_a_table_on_another_drive_than_its_partitions_is_refused(
    gptctl: Callable[..., tuple[int, str, str]], path: Path
) -> None:
    assert gptctl("show", "-D", "0", path) == gptctl("show", path)
    code, _, err = gptctl("show", "-D", "1048576", path)
    assert code == 1
    assert "the table and the partitions must be on the same drive" in err


def test_more_than_one_drive_is_refused(gptctl: Callable[..., tuple[int, str, str]], path: Path) -> None:
    """As in ``add -l Some Label disk.img``, which would otherwise look for a disk called Label."""
    code, _, err = gptctl("add", "-i", 3, "-l", "Some", "Label", path)
    assert code == 1
    assert "one drive argument is expected" in err


def test_a_reader_that_goes_away_is_no_error_to_speak_of(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "gptlib.cli.main", "show", "-v", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, err = process.communicate()
    assert err == b""
    assert process.returncode == 1


def test_a_full_disk_behind_stdout_is_told_in_one_line(path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(
            [sys.executable, "-m", "gptlib.cli.main", "dump", str(path)], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert result.returncode == 1
    assert result.stderr == "ERROR: [Errno 28] No space left on device\n"


@pytest.mark.parametrize("words", [["show"], ["add", "-i", "4", "-P", "9"], ["repair"]], ids=" ".join)
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_reason_to_fail(path: Path, words: list[str], closed: str) -> None:
    size = path.stat().st_size
    path.write_bytes(zeroed(bytearray(path.read_bytes()), -1))
    program = [sys.executable, "-m", "gptlib.cli.main", *words, str(path)]
    result = subprocess.run(["sh", "-c", f'exec "$@" {closed}', "sh", *program], capture_output=True, text=True)
    assert result.returncode == 0
    assert "Traceback" not in result.stderr
    assert path.stat().st_size == size


@pytest.mark.parametrize(
    ("first", "last", "code"),
    [(100, 199, None), (100, 200, "overlap"), (210, 2014, None), (210, 2015, "out-of-range"), (33, 99, "out-of-range")],
)
def test_verify_knows_the_last_sector_of_everything(
    gptctl: Callable[..., tuple[int, str, str]], ram: Path, first: int, last: int, code: str | None
) -> None:
    path = ram / "edge.img"
    path.write_bytes(Gpt(entries={1: Entry(200, 209), 2: Entry(first, last)}).image())
    found = json.loads(gptctl("verify", "--json", path)[1])["findings"]
    assert [finding["code"] for finding in found] == ([] if code is None else [code])


def test_partitions_beyond_the_end_of_a_disk_are_found(gptctl: Callable[..., tuple[int, str, str]], path: Path) -> None:
    os.truncate(path, 205 * 512)
    code, out, _ = gptctl("verify", path)
    assert code == 1
    assert "error: table: partition 4 (sectors 200 to 209) leaves the disk of 205 sectors\n" in out
    assert "partition 3" not in out


def test_read_only_commands_open_read_only(
    gptctl: Callable[..., tuple[int, str, str]], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open
    flags: list[int] = []

    def watched(name: str, how: int, *rest: int) -> int:
        flags.append(how)
        return real(name, how, *rest)

    monkeypatch.setattr(os, "open", watched)
    for words in (["show"], ["verify"], ["dump"], ["boot"], ["find", "-t", "efi"], ["show", "-i", 3, "-P"]):
        gptctl(*words, path)
    gptctl("diff", path, path)
    assert flags
    assert all(how & os.O_ACCMODE == os.O_RDONLY for how in flags)


# --- show


def test_show_json_has_everything(gptctl: Callable[..., tuple[int, str, str]], path: Path) -> None:
    code, out, _ = gptctl("show", "--json", path)
    told = json.loads(out)
    assert code == 0
    assert (told["sector_size"], told["sectors"], told["first_usable"], told["last_usable"]) == (512, 4096, 34, 4062)
    assert told["entries"] == {"count": 128, "size": 128}
    assert told["primary"] == {"header_sector": 1, "header_valid": True, "entries_valid": True, "ignored": False}
    assert told["backup"]["header_sector"] == 4095
    theirs = json.loads(tool("sfdisk", "--json", path))["partitiontable"]
    assert told["disk_guid"] == theirs["id"]
    for ours, peer in zip(told["partitions"], theirs["partitions"], strict=True):
        assert {ours["start"], ours["size"], ours["type_guid"], ours["guid"]} == {
            peer["start"],
            peer["size"],
            peer["type"],
            peer["uuid"],
        }
    second = told["partitions"][1]
    assert (second["number"], second["label"], second["type"]) == (4, "USR-B", "coreos-usr")
    assert (second["priority"], second["tries"], second["successful"], second["attributes"]) == (
        2,
        3,
        False,
        "0x0032000000000000",
    )
    one = json.loads(gptctl("show", "--json", "-i", 4, path)[1])
    assert one["partitions"] == [second]


def test_damage_is_told_on_stderr_and_does_not_stop_show(
    gptctl: Callable[..., tuple[int, str, str]], path: Path
) -> None:
    path.write_bytes(zeroed(bytearray(path.read_bytes()), 1))
    code, out, err = gptctl("show", path)
    assert code == 0
    assert "USR-A" in out
    assert err == f"ERROR: {path}: primary: no 'EFI PART' at the start of sector 1\n"


def test_labels_that_no_terminal_can_show_are_shown_all_the_same(
    gptctl: Callable[..., tuple[int, str, str]], ram: Path
) -> None:
    path = disk_of(ram / "disk.img", {3: slot(100, 1, 0, True, "lone \ud800 surrogate")})
    code, out, _ = gptctl("show", path)
    assert code == 0
    assert 'Label: "lone \N{REPLACEMENT CHARACTER} surrogate"' in out
    assert json.loads(gptctl("show", "--json", path)[1])["partitions"][0]["label"] == "lone \ud800 surrogate"


def test_show_prints_utf_8_whatever_the_locale(ram: Path) -> None:
    path = disk_of(ram / "disk.img", {3: slot(100, 1, 0, True, "Größe")})
    environment = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    result = subprocess.run(
        [sys.executable, "-m", "gptlib.cli.main", "show", str(path)], capture_output=True, env=environment, check=True
    )
    assert "Größe" in result.stdout.decode()


def test_show_of_a_table_put_together_from_both_copies(gptctl: Callable[..., tuple[int, str, str]], path: Path) -> None:
    image = bytearray(path.read_bytes())
    path.write_bytes(zeroed(zeroed(image, 2), -1))
    code, out, err = gptctl("show", path)
    assert code == 0
    assert out.count("USR-A") == 1
    assert err.count("\n") == 2


def test_verify_of_a_sound_disk(gptctl: Callable[..., tuple[int, str, str]], path: Path) -> None:
    assert gptctl("verify", path) == (0, f"{path}: 2 partitions in 128 entries, no findings\n", "")
    told = json.loads(gptctl("verify", "--json", path)[1])
    assert told == {"path": str(path), "usable": True, "source": "primary", "findings": []}


def test_verify_tells_all_findings_with_their_severity(gptctl: Callable[..., tuple[int, str, str]], path: Path) -> None:
    image = zeroed(bytearray(path.read_bytes()), -1)
    image[440:512] = bytes(72)
    path.write_bytes(image)
    code, out, _ = gptctl("verify", path)
    assert code == 1
    assert out.splitlines() == [
        "error: backup: no 'EFI PART' at the start of sector 4095",
        "warning: mbr: there is no protective MBR: the firmware and the kernel may not see this table",
        f"{path}: 2 partitions in 128 entries, 2 findings",
    ]
    told = json.loads(gptctl("verify", "--json", path)[1])
    assert [finding["code"] for finding in told["findings"]] == ["signature", "mbr-absent"]


def test_warnings_alone_are_an_error_only_when_asked(gptctl: Callable[..., tuple[int, str, str]], path: Path) -> None:
    with path.open("ab") as file:
        file.truncate(8192 * 512)
    assert gptctl("verify", path)[0] == 0
    assert gptctl("verify", "--strict", path)[0] == 1


def test_verify_of_what_is_no_gpt(gptctl: Callable[..., tuple[int, str, str]], ram: Path) -> None:
    code, out, err = gptctl("verify", blank(ram / "disk.img"))
    assert (code, err) == (1, "")
    assert out.splitlines()[-1].endswith("create one with 'gptctl create' if the disk is to be wiped")


def test_tables_of_the_largest_kind_are_shown(gptctl: Callable[..., tuple[int, str, str]], ram: Path) -> None:
    path = ram / "disk.img"
    table = Table.new(total_sectors=1 << 17, entry_count=1 << 17)
    with Disk.open(blank(path, 1 << 17), write=True) as disk:
        disk.create(table.add(slot(40000, 1, 1, True), 1 << 17))
    code, out, _ = gptctl("show", "-q", path)
    assert (code, out) == (0, "       40000          10  131072  Alias for coreos-rootfs\n")
