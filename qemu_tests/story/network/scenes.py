"""What happens to a machine that updates itself: found, cut off, tried, proved; broken, rolled back; by a difference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qemu_tests.harness.hardware import Hardware, UserNetwork
from qemu_tests.story import timeline as kinds

if TYPE_CHECKING:
    from qemu_tests.harness.machine import Machine
    from qemu_tests.story.network.pipeline import Pipeline
    from qemu_tests.story.stage import Stage

HARDWARE = Hardware(memory=1024, nics=(UserNetwork(restrict=False),))
INSTALL = 900.0
"""Seconds for an installation under emulation, on a machine that does other things as well."""
_ROLLED_BACK = "e3626f5a57c249abaa5e5642b9e95d3d"
"""The MESSAGE_ID, as docs/update-interfaces.md has it."""


def update_itself(stage: Stage, pipeline: Pipeline) -> None:
    """All of it, on a disk with version 1.0. Raises StoryError."""
    first_boot(stage)
    cut_off_and_resumed(stage, pipeline)
    rolled_back(stage, pipeline)
    by_difference(stage, pipeline)


def first_boot(stage: Stage) -> None:
    """Version 1.0 comes up, asks, and there is nothing."""
    stage.tell(kinds.SCENE, "a Debian with systemd and the agent asks its repository for the first time")
    stage.boot("power on")
    comes_up(stage, "1.0", "/dev/vda2")
    until(stage, "state.json", '"checked": *"20')
    reason = _status(stage)["reason"]
    stage.check("why there is no update", "nothing is published for fleet", reason.partition(" and slots")[0])
    said = stage.order("update_engine_client -status")
    stage.check("update_engine's words", True, "CURRENT_OP=UPDATE_STATUS_IDLE" in said)


def cut_off_and_resumed(stage: Stage, pipeline: Pipeline) -> None:
    """1.1 is published; the power fails in the middle of the download, and the machine goes on where it was."""
    stage.tell(kinds.SCENE, "version 1.1 is published, and the power fails in the middle of the download")
    pipeline.release("1.1")
    (blob,) = (pipeline.web.folder / "blobs").glob("*.frames")
    pipeline.web.hold(".frames", blob.stat().st_size // 2)
    stage.check("half of the update is fetched", True, pipeline.web.held.wait(INSTALL))
    until(stage, "state.json", "downloading")
    stage.power_cut("half of version 1.1 is fetched")
    stage.disk({"USR-A": "1/0/1", "USR-B": "0/0/0"}, "the slot that was being written is out of use")
    pipeline.web.go_on()
    stage.boot("power is back")
    _reboots(stage, {"USR-A": "1/0/1", "USR-B": "2/1/0"}, "version 1.1 is tried")
    # What was not in the journal when the power failed comes twice: at most 32 MiB of the image, and what was under way.
    fetched = pipeline.web.sent[f"blobs/{blob.name}"] / blob.stat().st_size
    stage.check("bytes fetched, as a part of the update, are at most", True, fetched < 1.5)
    stage.tell(kinds.UP, f"the download went on where it was: {fetched:.2f} times its bytes were sent in all")
    comes_up(stage, "1.1", "/dev/vda3")
    until(stage, "history.jsonl", '"proved".*"1.1"')
    stage.disk({"USR-A": "1/0/1", "USR-B": "2/0/1"}, "marked good, as in the article")
    # Where the slot is marked good before the agent is up, it was never seen unproved.
    seen = [one for one in history(stage) if one[0] != "booted"]
    stage.check("the history", [("installed", "1.1"), ("armed", "1.1"), ("proved", "1.1")], seen[-3:])


def rolled_back(stage: Stage, pipeline: Pipeline) -> None:
    """1.2 never gets healthy: rolled back, remembered, told, and not tried again."""
    stage.tell(kinds.SCENE, "version 1.2 is broken: its health check never succeeds")
    pipeline.release("1.2", broken=True)
    _check_now(stage.machine)
    _reboots(stage, {"USR-A": "2/1/0", "USR-B": "1/0/1"}, "version 1.2 is tried")
    _reboots(stage, {"USR-A": "2/0/0", "USR-B": "1/0/1"}, "it is not healthy")
    comes_up(stage, "1.1", "/dev/vda3")
    until(stage, "history.jsonl", '"rolled-back".*"1.2"')
    until(stage, "state.json", "1.2 is not taken again")
    stage.check("what is not taken again", ["1.2"], [bad["version"] for bad in _status(stage)["not-taken-again"]])
    metrics = stage.order("cat /run/slotboot/metrics.prom")
    stage.check("metrics tell", True, "slotboot_update_agent_rollbacks_total 1.0" in metrics)
    told = stage.order(f"journalctl --boot --no-pager MESSAGE_ID={_ROLLED_BACK}")
    stage.check("the journal tells", True, "Version 1.2 was rolled back, 1.1 runs" in told)
    stage.disk({"USR-A": "2/0/0", "USR-B": "1/0/1"}, "nothing was tried again")
    stage.tell(kinds.UP, "1.2 is remembered, told by journal and metrics, and not taken again")


def by_difference(stage: Stage, pipeline: Pipeline) -> None:
    """1.3 comes by its difference to 1.1."""
    stage.tell(kinds.SCENE, "version 1.3 comes by its difference to version 1.1")
    pipeline.web.sent.clear()
    pipeline.release("1.3")
    _check_now(stage.machine)
    _reboots(stage, {"USR-A": "2/1/0", "USR-B": "1/0/1"}, "version 1.3 is tried")
    fetched = {name: count for name, count in pipeline.web.sent.items() if name.startswith("blobs/")}
    stage.check("what was fetched", {".delta"}, {Path(name).suffix for name in fetched})
    stage.tell(kinds.UP, f"{sum(fetched.values())} bytes were fetched for it")
    comes_up(stage, "1.3", "/dev/vda2")
    until(stage, "history.jsonl", '"proved".*"1.3"')
    stage.disk({"USR-A": "2/0/1", "USR-B": "1/0/1"}, "version 1.3 is here to stay")
    stage.check("install of what runs", 0, stage.machine.run("updatectl install 1.3 --wait").exit)
    stage.check("install of what was rolled back", 1, stage.machine.run("updatectl install 1.2 --wait").exit)


def comes_up(stage: Stage, version: str, node: str) -> None:
    """The version is up from that node, and marked good."""
    stage.machine.login("root", seconds=INSTALL)
    stage.machine.wait_for_unit("bootselect-mark-good.service", INSTALL)
    release = stage.order("cat /etc/os-release").replace("\r", "")
    stage.check("IMAGE_VERSION in /etc/os-release", True, f"IMAGE_VERSION={version}\n" in release)
    stage.check("what the root is mounted from", True, node in stage.order("findmnt --noheadings --output=SOURCE /"))
    stage.tell(kinds.UP, f"version {version} is up from {node}; healthy")


def until(stage: Stage, file: str, pattern: str) -> None:
    """Until the agent has noted it. A program of Python, called again and again, would take the processor from the agent, which is nicer."""
    stage.machine.wait_until(f"grep -q '{pattern}' /var/lib/slotboot/{file}", INSTALL)


def _check_now(machine: Machine) -> None:
    machine.order("systemctl kill --signal=SIGHUP slotboot-update.service")


def _reboots(stage: Stage, slots: dict[str, str], reason: str) -> None:
    """By itself, with these attributes."""
    kind = stage.machine.wait_for_boundary(INSTALL).kind
    stage.check("how the boot ended", "reboot", kind)
    stage.tell(kinds.BOUNDARY, "it rebooted by itself; held at the boundary")
    stage.disk(slots, "between the boots")
    stage.resume(reason)


def _status(stage: Stage) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(stage.order("updatectl status --json"))
    return told


def history(stage: Stage) -> list[tuple[str, str]]:
    """What happened to which version."""
    records = json.loads(stage.order("updatectl history --json"))["records"]
    return [(record["what"], record["version"]) for record in records]
