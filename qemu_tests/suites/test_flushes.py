"""The proof that a missing flush, a late one and a wrong order are found: the same verbs, broken on purpose, in a real guest.

Of a running machine ``judge`` sees what a power cut would leave at this moment. A verb that flushes is there; the same verb without
its flushes is not. Where it flushes but in the wrong place or order, the replay of its writes finds states that no machine boots.
The five stories are arm, try count, mark-good, repair and install.
"""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from gptlib import Disk
from qemu_tests.harness.disk.faults import CutAtWrite
from qemu_tests.replay.crashes import Sample
from qemu_tests.replay.explore import Exploration, explore
from qemu_tests.replay.places import places_of
from qemu_tests.story.materials import GOOD
from qemu_tests.suites.mutants import NO_FLUSH, WRONG, mutated, mutated_selector

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qemu_tests.harness.hardware import DirectKernel
    from qemu_tests.harness.machine import Machine
    from qemu_tests.plugin import MakeMachine
    from qemu_tests.story.materials import Materials

pytestmark = pytest.mark.vm
FRESH = {"USR-A": "1/0/1", "USR-B": "0/0/0"}
ARM = ("bootselect", "arm", "--slot", "USR-B", "--tries", "3")
MARK_GOOD = ("bootselect", "mark-good", "--slot", "USR-B")
INSTALL = ("updatectl", "install", "--target", "/dev/vda", "/dev/vdb")
"""With a target nothing is remembered: the state is on the same disk, and its flushes would make up for those that are missing."""
REPAIR = ("gptctl", "repair", "/dev/vda")
CHANGE = ("gptctl", "add", "-i", "3", "-T", "2", "/dev/vda")
TRY = 4
"""Writes of the selector when it counts a try: a sector each of E2, H2, H1 and E1."""


def run(machine: Machine, command: str) -> None:
    result = machine.run(command)
    assert result.exit == 0, result.output


def durable(machine: Machine) -> dict[str, str]:
    return dict(machine.judge(whole=False).slots)


def destroy(machine: Machine, first: int) -> None:
    """Header and entries of one copy, in sectors from ``first`` on; negative: from the end."""
    sectors = machine.disk.size // 512
    machine.disk.write_zeros((first if first > 0 else sectors + first) * 512, 33 * 512)


def test_without_flushes_no_verb_reaches_the_disk_and_with_them_each_does(
    materials: Materials, slotboot_machines: MakeMachine, kernel: DirectKernel
) -> None:
    machine = slotboot_machines(materials.image, "mutants-no-flush")
    machine.boot(medium=materials.updates[GOOD], kernel=kernel)
    machine.wait_until_ready()
    assert durable(machine) == FRESH
    # A mutant that does not start would prove nothing.
    assert machine.run(mutated("bootselect", "raise SystemExit(9)", "status")).exit == 9

    run(machine, mutated(ARM[0], NO_FLUSH, *ARM[1:]))
    assert durable(machine) == FRESH
    run(machine, "bootselect arm --slot USR-B --tries 5")
    assert durable(machine) == {"USR-A": "1/0/1", "USR-B": "2/5/0"}

    run(machine, mutated(MARK_GOOD[0], NO_FLUSH, *MARK_GOOD[1:]))
    assert durable(machine) == {"USR-A": "1/0/1", "USR-B": "2/5/0"}
    run(machine, "bootselect mark-bad --slot USR-B")
    run(machine, " ".join(MARK_GOOD))
    assert durable(machine)["USR-B"].endswith("/0/1")

    destroy(machine, -33)
    run(machine, mutated(REPAIR[0], NO_FLUSH, *REPAIR[1:]))
    assert machine.judge(whole=False).problems
    destroy(machine, -33)
    run(machine, " ".join(REPAIR))
    assert machine.judge().problems == ()

    # What was written before the slot's own fsync is on the disk with it, the arm behind it is not.
    run(machine, mutated(INSTALL[0], NO_FLUSH, *INSTALL[1:]))
    assert durable(machine) == FRESH
    run(machine, " ".join(INSTALL))
    assert durable(machine) == {"USR-A": "1/0/1", "USR-B": "2/3/0"}


class Recorded:
    """A machine that runs, and what is found in the states of one command on it after another."""

    def __init__(self, machine: Machine, materials: Materials, folder: Path) -> None:
        self._machine, self._folder = machine, folder
        self._places = places_of(materials.image, [materials.updates[GOOD].with_suffix(".slot")])

    def prepare(self, *commands: str) -> None:
        for command in commands:
            run(self._machine, command)

    def states(self, command: str, *, zeros: int = 0) -> Exploration:
        """Of what a command writes, after the copy of the table from sector ``zeros`` on is gone where that is not 0."""
        run(self._machine, "sync")
        if zeros:
            destroy(self._machine, zeros)
        begin = len(self._machine.disk.log.entries)
        run(self._machine, command)
        part = self._machine.disk.recording().part(begin, None, self._folder / "base")
        return explore(part, self._places, self._folder, Sample(subsets=8))


def stories(recorded: Recorded, command: Callable[..., str]) -> dict[str, Exploration]:
    """The verbs as ``command`` makes them of a program and its words; what comes before each is as it should be."""
    found = {}
    recorded.prepare("bootselect mark-bad --slot USR-B")
    found["arm"] = recorded.states(command(*ARM))
    recorded.prepare("bootselect arm --slot USR-B --tries 3")
    found["mark-good"] = recorded.states(command(*MARK_GOOD))
    recorded.prepare("bootselect mark-bad --slot USR-B")
    # One copy is repaired before the other is touched: a command that only repairs could write in any order.
    found["repair"] = recorded.states(command(*CHANGE), zeros=1)
    recorded.prepare("gptctl repair /dev/vda", "bootselect mark-bad --slot USR-B")
    found["install"] = recorded.states(command(*INSTALL))
    return found


def test_a_late_flush_and_a_wrong_order_are_found_in_every_story(
    materials: Materials, slotboot_machines: MakeMachine, kernel: DirectKernel, tmp_path: Path
) -> None:
    """Each verb is a few writes: all subsets of them, and torn ones, are looked at. All in one boot."""
    machine = slotboot_machines(materials.image, "mutants-order")
    machine.boot(medium=materials.updates[GOOD], kernel=kernel)
    machine.wait_until_ready()
    recorded = Recorded(machine, materials, tmp_path)
    # Both slots hold what is whole, so that only the table can be wrong.
    recorded.prepare(" ".join(INSTALL))
    as_it_is = stories(recorded, lambda *words: " ".join(words))
    assert {story: found.failures for story, found in as_it_is.items()} == dict.fromkeys(as_it_is, ())
    # At least one attribute: two sectors of the backup in any combination, then one sector, then another.
    assert all(found.total >= 4 + 2 + 2 for found in as_it_is.values())
    for name, mutation in WRONG.items():

        def broken(program: str, *words: str, mutation: str = mutation) -> str:
            return mutated(program, mutation, *words)

        for story, found in stories(recorded, broken).items():
            assert found.failed > 0, f"{story} with {name}: {found}"


@pytest.fixture
def armed(materials: Materials, tmp_path: Path) -> Path:
    """A disk whose second slot holds the same as the first and is armed, by cgpt."""
    path = tmp_path / "disk.raw"
    shutil.copy(materials.image, path)
    with Disk.open(path) as disk:
        table = disk.table()
    first, second = (table.partition(table.find(label=label)[0]) for label in ("USR-A", "USR-B"))
    with path.open("r+b") as file:
        file.seek(first.first_lba * 512)
        content = file.read(first.sectors * 512)
        file.seek(second.first_lba * 512)
        file.write(content)
    bits = ["-P", "2", "-T", "3", "-S", "0"]
    number = table.find(label="USR-B")[0]
    subprocess.run(["cgpt", "add", "-i", str(number), *bits, str(path)], check=True)
    return path


@pytest.mark.parametrize("name", ["as it is", "no flush", *WRONG])
def test_a_try_that_is_not_counted_well_is_found(
    armed: Path, slotboot_machines: MakeMachine, kernel: DirectKernel, tmp_path: Path, name: str
) -> None:
    """The power fails at the first write that is not the selector's: its try is on the disk, or a mutant is found."""
    mutation = {"as it is": "", "no flush": NO_FLUSH, **WRONG}[name]
    machine = slotboot_machines(armed, f"mutants-try-{name.replace(' ', '-').replace(',', '')}")
    machine.boot(kernel=mutated_selector(kernel, mutation, tmp_path), faults=[CutAtWrite(TRY + 1)])
    machine.wait_for_freeze()
    machine.power_cut()
    left = durable(machine)["USR-B"]
    assert left == ("2/3/0" if name == "no flush" else "2/2/0")
    found = explore(machine.disk.recording(), places_of(armed), tmp_path, Sample(subsets=8))
    assert (found.failed > 0) == (name != "as it is"), str(found)
