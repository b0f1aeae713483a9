"""docs/fleet.md: its sessions run against a real etcd, and its tables name tests that are there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from tests.documentation import ROOT, table
from update_agent.cli.locksmithctl import main
from update_agent.lock.keys import Keys
from update_agent.lock.queue import EtcdLock

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.update_agent.lock.etcd import Cluster
    from update_agent.lock.etcd import Etcd

PAGE = ROOT / "docs/fleet.md"
FOLDER = ROOT / "tests/update_agent/lock"
SERVER = "serve-fleetlock"
"""It is started by a test of tests/update_agent/lock/test_locksmithctl.py."""


def sessions() -> dict[str, list[tuple[str, str]]]:
    """Heading -> the commands below it, each with its output."""
    found: dict[str, list[tuple[str, str]]] = {}
    for section in re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE):
        for block in re.findall(r"^```console\n(.*?)^```", section, re.MULTILINE | re.DOTALL):
            for text in re.split(r"^[$] ", block, flags=re.MULTILINE)[1:]:
                command, _, output = text.partition("\n")
                if SERVER not in command:
                    found.setdefault(section.partition("\n")[0], []).append((command, output))
    return found


def held(etcd: Etcd, group: str, machine: str) -> EtcdLock:
    lock = EtcdLock(etcd, group, machine)
    lock.acquire("3")
    return lock


def rolled_back(etcd: Etcd, group: str, machine: str) -> None:
    held(etcd, group, machine).rolled_back("3", "no")


PREPARED: dict[str, Callable[[Etcd, str], object]] = {
    "How many at once": lambda etcd, group: held(etcd, group, "69d27b356a94476da859461d3a3bc6fd"),
    "A machine that died with the lock": lambda etcd, group: held(etcd, group, "c0ffee0123456789c0ffee0123456789"),
    "A fleet that stopped": lambda etcd, group: rolled_back(etcd, group, "69d27b356a94476da859461d3a3bc6fd"),
}
"""What has happened before a session."""


def test_every_session_is_prepared() -> None:
    assert set(sessions()) == set(PREPARED)


@pytest.mark.parametrize("heading", PREPARED)
def test_the_session_prints_what_it_shows(heading: str, one: Cluster, etcd: Etcd, group: str) -> None:
    PREPARED[heading](etcd, group)
    environment = {"LOCKSMITHCTL_ENDPOINT": one.endpoints[0], "LOCKSMITHCTL_GROUP": group}
    for command, output in sessions()[heading]:
        program, *words = command.split()
        result = CliRunner().invoke(main, words, env=environment)
        assert program == "locksmithctl"
        assert (result.exit_code, result.stdout) == (0, output), command


@pytest.mark.parametrize("heading", ["## What locksmith's users ran into", "And what etcd does to its clients:"])
def test_each_fault_has_a_test_that_is_there(heading: str) -> None:
    rows = table(PAGE, heading)
    assert len(rows) > 6
    for fault, _, proofs in rows:
        named = re.findall(r"`([\w/]+)::(\w+)`", proofs)
        assert named, fault
        for module, test in named:
            folder = FOLDER.parent if "/" in module else FOLDER
            assert f"\ndef {test}(" in (folder / f"{module}.py").read_text(), test


@pytest.mark.parametrize("number", [58, 64, 408, 850, 948, 1062, 1219, 1542, 1782, 1886, 5407])
def test_each_fault_of_locksmith_that_is_known_has_its_row(number: int) -> None:
    rows = table(PAGE, "## What locksmith's users ran into")
    assert sum(str(number) in re.findall(r"\d+", fault) for fault, *_ in rows) == 1


def test_the_keys_are_those_that_the_page_names() -> None:
    keys = Keys("lb/x y")
    names = {
        "semaphore": keys.semaphore,
        "queue/MACHINE": keys.ticket("MACHINE"),
        "since/MACHINE": keys.record("MACHINE"),
        "stops/VERSION": keys.stop("VERSION"),
        "alive/MACHINE": keys.life("MACHINE"),
    }
    assert {row[0].strip("`") for row in table(PAGE, "## What stands in etcd")} == set(names)
    assert all(key == f"{keys.base}/{name}" for name, key in names.items())
