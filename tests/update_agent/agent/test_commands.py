"""The commands of ``updatectl`` that know a repository, on a machine in a file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.update_agent.updates import describe, refusal, updatectl
from update_agent.agent.conducting import Here
from update_agent.cli import common
from update_agent.reboot.inhibitors import Inhibitor

if TYPE_CHECKING:
    from pathlib import Path

    from tests.update_agent.agent.fleet import Box, Repo


@pytest.fixture(autouse=True)
def on_the_box(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine is the one in the file, and has its settings in the environment."""
    monkeypatch.setenv("SLOTBOOT_STATE_FOLDER", box.settings.state_folder)
    monkeypatch.setenv("SLOTBOOT_REBOOT_STRATEGY", "reboot")
    monkeypatch.setattr(common, "here", lambda _settings, _shelf: box.world)
    monkeypatch.setattr(Here, "folders", [box.place / "hooks"])
    monkeypatch.setattr(Here, "inhibitors", lambda _: box.held)


def test_check_says_what_there_is_and_installs_nothing(box: Box, repo: Repo) -> None:
    before = box.disk.read_bytes()
    nothing = f"nothing is published for os and slots of type {box.found.type_guid}"
    assert updatectl("check").stdout == f"nothing to install: {nothing}\n"
    repo.publish("1.1", since="1.0")
    said = updatectl("check")
    assert said.exit_code == 0
    assert said.stdout.startswith("1.1 is available: 3.0 MiB, ")
    told = json.loads(updatectl("check", "--json").stdout)
    assert (told["available"], told["differences-from"]) == ("1.1", ["1.0"])
    assert box.disk.read_bytes() == before


def test_check_says_why_there_is_nothing(repo: Repo) -> None:
    repo.publish("1.1", group="alpha")
    reason = "1.1 is in the group alpha, and this machine in stable"
    assert updatectl("check").stdout == f"nothing to install: {reason}\n"
    assert json.loads(updatectl("check", "--json").stdout) == {"available": None, "reason": reason, "about": "1.1"}


def test_install_status_history_and_back(repo: Repo) -> None:
    repo.publish("1.1")
    done = updatectl("install")
    assert done.exit_code == 0, done.output
    assert done.stdout == "version 1.1 is in USR-B (partition 2): tried 3 times at most\n"
    assert done.stderr.splitlines()[0].startswith("fetching: ")
    again = updatectl("install", "1.1")
    assert (again.exit_code, again.stdout) == (0, "version 1.1 is armed\n")
    told = json.loads(updatectl("status", "--json").stdout)
    assert (told["state"], told["version"], told["group"]) == ("armed", "1.1", "stable")
    assert "armed (version 1.1), since 2026-12-01 12:00:00 UTC" in updatectl("status").stdout
    assert updatectl("cancel").stdout == "version 1.1 is cancelled; 'updatectl resume' takes it up again\n"
    assert "1.1 is not taken again" in refusal(updatectl("install"))
    assert updatectl("resume").stdout == "version 1.1 may be installed again\n"
    assert updatectl("install").exit_code == 0
    words = [line.split()[3:5] for line in updatectl("history").stdout.splitlines()]
    assert words == [
        ["installed", "1.1"], ["armed", "1.1"], ["cancelled", "1.1"], ["installed", "1.1"], ["armed", "1.1"],
    ]  # fmt: skip
    records = json.loads(updatectl("history", "--json").stdout)
    assert [record["what"] for record in records["records"]] == [word for word, _ in words]


def test_a_reboot_is_asked_for(box: Box, repo: Repo) -> None:
    repo.publish("1.1")
    hook = box.place / "hooks/pre-reboot.d/10-test"
    hook.parent.mkdir(parents=True)
    hook.write_text("#!/bin/sh\necho drained\n")
    hook.chmod(0o755)
    box.held = (Inhibitor("backup", "it runs"),)
    held = updatectl("install", "--reboot")
    assert "the reboot waits: held by backup (it runs)" in held.stderr
    assert not box.rebooting
    box.held = ()
    done = updatectl("install", "--reboot")
    assert done.exit_code == 0
    assert "pre-reboot 10-test: drained" in done.stderr
    assert box.rebooting


def test_waiting_ends_with_the_verdict(box: Box, repo: Repo) -> None:
    repo.publish("1.1")
    updatectl("install")
    box.boot()
    box.prove()
    waited = updatectl("install", "1.1", "--wait")
    assert (waited.exit_code, waited.stdout) == (0, "1.1 runs already\n")
    box.broken.add("1.2")
    repo.publish("1.2")
    assert updatectl("install", "1.2").exit_code == 0
    box.boot()
    assert "1.2 is not taken again" in refusal(updatectl("install", "1.2", "--wait"))


def test_a_repository_on_a_disk_that_a_person_brought(box: Box, repo: Repo) -> None:
    repo.publish("1.1")
    done = updatectl("install", repo.folder)
    assert done.exit_code == 0, done.output
    assert box.attributes()["1.1"] == "2/3/0"


def test_a_medium_goes_through_the_same_states(box: Box, tmp_path: Path) -> None:
    medium = tmp_path / "medium"
    medium.mkdir()
    content = b"VERSION=7\n".ljust(1 << 20, b"\0")
    describe(medium, content, version="7")
    (medium / "slot.img").write_bytes(content)
    describe(medium, content, version="8", **{"slot-type": "chromeos-kernel"})
    assert "it is for slots of the type fe3a2a5d" in refusal(updatectl("install", medium)).lower()
    describe(medium, content, version="7")
    done = updatectl("install", medium)
    assert done.exit_code == 0, done.output
    assert box.attributes() == {"1.0": "1/0/1", "7": "2/3/0"}
    assert "version 7 is installed and tried at the next boot" in refusal(updatectl("install", medium))
    box.boot()
    box.prove()
    assert json.loads(updatectl("install", "7", "--json").stdout)["outcome"] == "runs"


def test_what_cannot_be_is_refused_with_one_line(box: Box, repo: Repo) -> None:
    before = box.disk.read_bytes()
    assert "9 is not published for os" in refusal(updatectl("install", "9"))
    assert "no such device, file or folder" in refusal(updatectl("install", "./9"))
    assert "no update is under way" in refusal(updatectl("cancel"))
    assert "version 3 is not known to be bad; known are none" in refusal(updatectl("resume", "3"))
    nothing = "nothing was cancelled or rolled back here, so there is nothing to resume"
    assert refusal(updatectl("resume")) == f"updatectl: {nothing}\n"
    assert updatectl("install", "--slot", "2").exit_code == 2
    repo.publish("0.9")
    assert "--downgrade takes it" in refusal(updatectl("install", "0.9"))
    assert box.disk.read_bytes() == before
    assert updatectl("install", "0.9", "--downgrade").exit_code == 0
