"""The proof that a missing flush, a late one and a wrong order are found: the same verbs, broken on purpose, in a real guest.

Of a running machine ``judge`` sees what a power cut would leave at this moment. A verb that flushes is there; the same verb without
its flushes is not. Where it flushes but in the wrong place or order, the replay of its writes finds states that no machine boots.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from qemu_tests.replay.crashes import Sample
from qemu_tests.replay.explore import Exploration, explore
from qemu_tests.replay.places import places_of
from qemu_tests.story.materials import GOOD

if TYPE_CHECKING:
    from pathlib import Path

    from qemu_tests.harness.machine import Machine
    from qemu_tests.plugin import MakeMachine
    from qemu_tests.story.materials import Materials

pytestmark = pytest.mark.vm
FRESH = {"USR-A": "1/0/1", "USR-B": "0/0/0"}

NO_FLUSH = "device.FileDevice.flush = lambda self: None"
_COLLECT = """
writes, write, flush = [], device.BlockDevice.write, device.FileDevice.flush
device.BlockDevice.write = lambda self, offset, data: writes.append((offset, bytes(data)))
device.FileDevice.flush = lambda self: None
def close(self, close=device.FileDevice.close):
    {order}
    writes.clear()
    flush(self)
    close(self)
device.FileDevice.close = close
"""
ONE_FLUSH = _COLLECT.format(order="[write(self, *one) for one in writes]")
"""All flushes of a write of the table are one, behind it."""
HEADERS_FIRST = _COLLECT.format(
    order="""is_header = lambda one: one[0] in (512, self.size - 512)
    for group in ([o for o in writes if is_header(o)], [o for o in writes if not is_header(o)]):
        [write(self, *one) for one in group]
        flush(self)"""
)
"""Both headers, a flush, then the entries."""


def mutated(program: str, mutation: str, *words: str) -> str:
    """A shell command: the program of the slot with ``mutation`` applied to ``gptlib.linux.device`` before it begins."""
    module = {"bootselect": "bootselect.cli.main", "gptctl": "gptlib.cli.main", "updatectl": "update_agent.cli"}[
        program
    ]
    code = f"import sys\nfrom gptlib.linux import device\n{mutation}\nfrom {module} import main\nsys.exit(main())\n"
    return shlex.join(["python3", "-c", code, *words])


def run(machine: Machine, command: str) -> None:
    result = machine.run(command)
    assert result.exit == 0, result.output


def durable(machine: Machine) -> dict[str, str]:
    return dict(machine.judge(whole=False).slots)


def test_without_flushes_no_verb_reaches_the_disk_and_with_them_each_does(
    materials: Materials, slotboot_machines: MakeMachine
) -> None:
    machine = slotboot_machines(materials.image, "mutants-no-flush")
    machine.boot(medium=materials.updates[GOOD])
    machine.wait_until_ready()
    assert durable(machine) == FRESH
    # A mutant that does not start would prove nothing.
    assert machine.run(mutated("bootselect", "raise SystemExit(9)", "status")).exit == 9

    run(machine, mutated("bootselect", NO_FLUSH, "arm", "--slot", "USR-B", "--tries", "3"))
    assert durable(machine) == FRESH
    run(machine, "bootselect arm --slot USR-B --tries 5")
    assert durable(machine) == {"USR-A": "1/0/1", "USR-B": "2/5/0"}

    run(machine, mutated("bootselect", NO_FLUSH, "mark-good", "--slot", "USR-B"))
    assert durable(machine) == {"USR-A": "1/0/1", "USR-B": "2/5/0"}
    run(machine, "bootselect mark-bad --slot USR-B")
    run(machine, "bootselect mark-good --slot USR-B")
    assert durable(machine)["USR-B"].endswith("/0/1")

    destroy = (
        f"dd if=/dev/zero of=/dev/vda bs=512 seek={machine.disk.size // 512 - 33} count=33 conv=fsync oflag=direct"
    )
    run(machine, destroy)
    run(machine, mutated("gptctl", NO_FLUSH, "repair", "/dev/vda"))
    assert machine.judge(whole=False).problems
    run(machine, destroy)
    run(machine, "gptctl repair /dev/vda")
    assert machine.judge().problems == ()

    # What was written before the slot's own fsync is on the disk with it, the arm behind it is not.
    run(machine, mutated("updatectl", NO_FLUSH, "install", "/dev/vdb"))
    assert durable(machine) == FRESH
    run(machine, "updatectl install /dev/vdb")
    assert durable(machine) == {"USR-A": "1/0/1", "USR-B": "2/3/0"}


def test_a_late_flush_and_a_wrong_order_are_found_by_the_replay(
    materials: Materials, slotboot_machines: MakeMachine, tmp_path: Path
) -> None:
    """Each verb is a few writes: all subsets of them, and torn ones, are looked at."""

    def replayed(name: str, command: str) -> Exploration:
        machine = slotboot_machines(materials.image, name)
        machine.boot()
        machine.wait_until_ready()
        run(machine, command)
        machine.power_cut()
        return explore(machine.disk.recording(), places_of(materials.image), tmp_path, Sample(subsets=8))

    arm = ("arm", "--slot", "USR-B")
    assert replayed("mutants-none", "bootselect arm --slot USR-B").failures == ()
    for name, mutation in (("one-flush", ONE_FLUSH), ("headers-first", HEADERS_FIRST)):
        found = replayed(f"mutants-{name}", mutated("bootselect", mutation, *arm))
        assert found.failed > 0, f"{name}: {found}"
        assert any("the readers" in failure.problem or "the selector" in failure.problem for failure in found.failures)
