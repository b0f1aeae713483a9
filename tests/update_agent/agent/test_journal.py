"""Messages with an id: on a socket of our own, and in the real journal, read by journalctl."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.documentation import ROOT
from tests.update_agent.state.machines import B, event, machine_in
from update_agent.agent.journal import KINDS, REFUSED, ROLLED_BACK, UPDATED, Entry, Journal, connect, entry_of
from update_agent.state.machine import Machine, advance
from update_agent.state.transitions import Happening, State

CATALOG = ROOT / "update_agent/integration/catalog/slotboot.catalog"
JOURNALD = Path("/lib/systemd/systemd-journald")
IDS = {
    UPDATED: "0764fa88887243bcb75ffcac7d4de54f",
    ROLLED_BACK: "e3626f5a57c249abaa5e5642b9e95d3d",
    REFUSED: "b7a398c0823e4ada842cc71ad950cb51",
}
"""Written down once more: whoever looks for them does so for years."""


def sent(machine: Machine) -> Entry:
    entry = entry_of(machine, "1.0")
    assert entry is not None
    return entry


def refused() -> Machine:
    return advance(machine_in(State.AVAILABLE), event(Happening.REFUSE, reason="it needs version 0.9"))


def test_the_ids_are_what_they_always_were() -> None:
    assert {kind: kind.id for kind in KINDS.values()} == IDS


@pytest.mark.parametrize(
    ("machine", "kind", "message"),
    [
        (machine_in(State.GOOD), UPDATED, "Updated to version 1.1: it runs and has proved itself"),
        (machine_in(State.ROLLED_BACK), ROLLED_BACK, "Version 1.1 was rolled back, 1.0 runs: because of roll-back"),
        (refused(), REFUSED, "Version 1.1 was refused: it needs version 0.9"),
    ],
)
def test_what_happened_is_said_with_its_id(machine: Machine, kind: object, message: str) -> None:
    fields = sent(machine).fields
    assert fields["MESSAGE"] == message
    assert fields["MESSAGE_ID"] == IDS[kind]  # type: ignore[index]
    assert fields["SLOTBOOT_VERSION"] == "1.1"
    assert fields.get("SLOTBOOT_REASON", "") == machine.reason


def test_all_else_is_no_message() -> None:
    told = {state for state in State if entry_of(machine_in(state), "1.0")}
    assert told == {State.GOOD, State.ROLLED_BACK}


def decoded(data: bytes) -> dict[str, str]:
    """As https://systemd.io/JOURNAL_NATIVE_PROTOCOL says it: written from that page."""
    fields = {}
    while data:
        line, _, rest = data.partition(b"\n")
        name, separator, value = line.partition(b"=")
        if separator:
            data = rest
        else:
            (size,) = struct.unpack("<Q", rest[:8])
            value, data = rest[8 : 8 + size], rest[9 + size :]
            assert rest[8 + size : 9 + size] == b"\n"
        fields[name.decode()] = value.decode()
    return fields


@pytest.mark.parametrize(
    "entry", [sent(machine_in(State.ROLLED_BACK)), Entry({"MESSAGE": "a\nb=c\n", "PRIORITY": "4"})]
)
def test_a_datagram_holds_every_field(entry: Entry, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald:
        journald.bind(path)
        journald.settimeout(5)
        sender = connect(path)
        assert sender is not None
        with sender:
            lines: list[str] = []
            Journal(sender, lines.append).send(entry)
        assert decoded(journald.recv(1 << 16)) == entry.fields
        assert lines == []


def test_without_a_journal_it_is_a_line(tmp_path: Path) -> None:
    lines: list[str] = []
    path = str(tmp_path / "socket")
    assert connect(path) is None
    Journal(None, lines.append).send(sent(refused()))
    assert lines == ["Version 1.1 was refused: it needs version 0.9"]


def test_a_journal_that_went_away_is_a_line(tmp_path: Path) -> None:
    lines: list[str] = []
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald:
        journald.bind(path)
        sender = connect(path)
    assert sender is not None
    with sender:
        Journal(sender, lines.append).send(sent(refused()))
    assert lines == ["Version 1.1 was refused: it needs version 0.9"]


SENDER = """
import json, sys
from update_agent.agent.journal import Entry, Journal, connect
for fields in json.load(sys.stdin):
    Journal(connect(), sys.exit).send(Entry(fields))
"""
# A journal of its own, in a mount namespace: nothing of the machine's is read or written.
SCRIPT = """
set -eu
cd {folder}
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd /run/log/journal catalog
printf '[Journal]\\nStorage=volatile\\nAudit=no\\nReadKMsg=no\\n' >journald.conf
cp {catalog} catalog
[ -e /etc/systemd/journald.conf ] && mount --bind journald.conf /etc/systemd/journald.conf
mount --bind catalog /usr/lib/systemd/catalog
mount -t tmpfs tmpfs /var/lib/systemd/catalog
{journald} 2>journald.log &
journald=$!
trap 'kill $journald' EXIT
n=0
while [ ! -S /run/systemd/journal/socket ]; do n=$((n + 1)); [ $n -lt 200 ]; sleep 0.05; done
PYTHONPATH={root} {python} -c '{sender}' <entries
journalctl --sync
journalctl --update-catalog
journalctl -D /run/log/journal --no-pager -q -t slotboot-update -o json >json
journalctl -D /run/log/journal --no-pager -q -t slotboot-update -x >explained
"""


@dataclass(frozen=True)
class Read:
    """What journalctl says of the messages: their fields, and with ``-x``."""

    entries: list[dict[str, str]]
    explained: str


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Read:
    if os.geteuid() != 0 or not JOURNALD.exists() or not shutil.which("unshare"):
        pytest.skip("only root starts a journal of its own")
    folder = tmp_path_factory.mktemp("journal")
    machines = (machine_in(State.GOOD), machine_in(State.ROLLED_BACK), refused())
    entries = [dict(sent(machine).fields) for machine in machines]
    entries.append({"MESSAGE": "two\nlines", "SYSLOG_IDENTIFIER": "slotboot-update"})
    (folder / "entries").write_text(json.dumps(entries))
    script = SCRIPT.format(
        folder=folder, catalog=CATALOG, journald=JOURNALD, root=ROOT, python=sys.executable, sender=SENDER
    )
    argv = ["unshare", "--mount", "--propagation=private", "sh", "-c", script]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = (folder / "json").read_text().splitlines()
    return Read([json.loads(line) for line in lines], (folder / "explained").read_text())


def test_the_real_journal_has_every_field(journal: Read) -> None:
    good, back, no, lines = journal.entries
    assert (good["MESSAGE_ID"], good["PRIORITY"]) == (UPDATED.id, "5")
    assert (back["MESSAGE_ID"], back["PRIORITY"], back["SLOTBOOT_SLOT"]) == (ROLLED_BACK.id, "4", B)
    assert (no["MESSAGE_ID"], no["SLOTBOOT_REASON"]) == (REFUSED.id, "it needs version 0.9")
    assert lines["MESSAGE"] == "two\nlines"


def test_journalctl_explains_each_message(journal: Read) -> None:
    explained = re.sub(r"^░░ ?", "", journal.explained, flags=re.MULTILINE)
    for subject in (
        "The system was updated to version 1.1",
        "Version 1.1 was rolled back",
        "Version 1.1 was refused",
    ):
        assert f"Subject: {subject}\nDefined-By: slotboot\n" in explained
    assert "    because of roll-back\n" in explained
    assert "the machine runs version\n1.0 again" in explained
    assert "@" not in explained


def test_what_is_said_is_no_longer_than_a_datagram_may_be() -> None:
    machine = replace(machine_in(State.ROLLED_BACK), version="v" * 255, reason="\N{SNOWMAN}" * 400)
    assert sum(len(value.encode()) for value in sent(machine).fields.values()) < 1 << 14
