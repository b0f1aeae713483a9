"""A whole life of a machine, and every state in which a power cut could have left its disk."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from qemu_tests.errors import UnexpectedBoundaryError
from qemu_tests.replay.chosen import choose
from qemu_tests.replay.crashes import Sample
from qemu_tests.replay.explore import explore
from qemu_tests.replay.places import places_of
from qemu_tests.replay.reporting import replay_of
from qemu_tests.replay.store import store_states
from qemu_tests.story import scenes
from qemu_tests.story.materials import GOOD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from qemu_tests.harness.disk.recording import Recording
    from qemu_tests.harness.hardware import DirectKernel
    from qemu_tests.harness.lab import Lab
    from qemu_tests.report.recorder import Recorder
    from qemu_tests.story.materials import Materials
    from qemu_tests.suites.conftest import MakeStage

pytestmark = pytest.mark.vm
UNHEALTHY = next(breakage for breakage in scenes.BREAKAGES if breakage.name == "unhealthy")
FULL = "SLOTBOOT_FULL" in os.environ
SAMPLE = Sample(subsets=14, others=40_000, torn_others=4_000) if FULL else Sample(subsets=6, others=40)
BOOTED, BOOTED_VARIABLES = (52, 8) if FULL else (6, 2)
MOST_BOOTS = 5
"""Three tries of a slot that is not healthy, and one of the one that is."""


@pytest.fixture
def becomes_ready(slotboot_lab: Lab) -> Iterator[Callable[..., None]]:
    """Boots a state until a slot is healthy; all readers then agree on the table."""
    number = iter(range(1000))

    def check(what: str, image: Path, kernel: DirectKernel | None, variables: Path | None = None) -> None:
        with slotboot_lab.machine(f"state-{next(number)}", image, variables=variables) as machine:
            for _ in range(MOST_BOOTS):
                machine.boot(kernel=kernel, reason=what)
                try:
                    machine.wait_until_ready()
                except UnexpectedBoundaryError:
                    machine.power_off()
                else:
                    machine.judge(whole=False)
                    return
            pytest.fail(f"{what}: nothing was ready after {MOST_BOOTS} boots")

    yield check


def test_in_every_state_of_two_updates_and_a_rollback_the_machine_boots(
    materials: Materials,
    stage: MakeStage,
    kernel: DirectKernel,
    becomes_ready: Callable[..., None],
    slotboot_recorder: Recorder,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Install, arm, reboot, select, mark good; a second update that is never healthy; rollback."""
    played = stage("replayed", materials.image)
    scenes.first_boot(played, materials.updates[GOOD])
    scenes.update(played)
    scenes.broken_update(played, materials.updates[UNHEALTHY.name], UNHEALTHY)
    updates = [materials.updates[name].with_suffix(".slot") for name in (GOOD, UNHEALTHY.name)]
    recording, places = played.machine.disk.recording(), places_of(materials.image, updates)
    assert played.machine.variables is not None
    store = played.machine.variables.recording()
    found = explore(recording, places, tmp_path, SAMPLE, store=store)
    name = "two updates and a rollback"
    slotboot_recorder.replay(replay_of(found, recording, places, name, f"of each flush epoch: {SAMPLE}"))
    record_property("counted", f"replay of {name}: {found}")
    assert found.failures == ()
    assert found.failed == 0
    assert found.total >= (100_000 if FULL else 1_000)

    target = tmp_path / "state.raw"
    for chosen in choose(recording, places, Sample(), BOOTED):
        becomes_ready(str(chosen), chosen.rebuild(recording, target), kernel)
    _boot_with_variables(recording, store, becomes_ready, tmp_path)


def _boot_with_variables(
    recording: Recording, store: Recording, becomes_ready: Callable[..., None], folder: Path
) -> None:
    """Some writes of the variables, each torn, with what was durable of the disk then: with the firmware that reads them."""
    torn = [(write, state) for write, states in store_states(store).items() for state in states if state.kind == "torn"]
    for write, state in torn[:: max(1, len(torn) // BOOTED_VARIABLES)][:BOOTED_VARIABLES]:
        variables = store.rebuild(write.number, state.pieces, folder / "variables.fd")
        image = recording.rebuild(write.number, (), folder / "state.raw")
        becomes_ready(f"write {write.number} of the variables torn", image, None, variables)
