"""The files that break a slot, before a machine boots them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bootselect.health import FOLDERS
from qemu_tests.story.broken_slots import NAMES, broken_slot
from qemu_tests.story.scenes import BREAKAGES

INIT = Path(__file__).parents[2] / "image_builder/data/tiny/init"


def test_every_way_to_break_a_slot_that_a_scene_plays_is_there() -> None:
    assert {breakage.name for breakage in BREAKAGES} | {"hang"} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_broken_slot_is_a_good_one_with_one_other_program(name: str) -> None:
    ((path, source),) = broken_slot(name).items()
    assert os.access(source, os.X_OK)
    assert source.read_bytes().startswith(b"#!/bin/sh\n")
    places = {"init-exit": "/usr/bin/init", "unhealthy": f"{FOLDERS[1]}/required.d/50-unhealthy"}
    assert path == places.get(name, "/etc/slotboot/start")
    # Where init looks for it.
    assert name in places or f"={path}\n" in INIT.read_text()


@pytest.mark.parametrize("name", ["init-exit", "unhealthy"])
def test_a_program_that_is_to_fail_fails(name: str) -> None:
    (source,) = broken_slot(name).values()
    assert subprocess.run([source], check=False).returncode == 1


def test_a_name_that_there_is_not_is_told() -> None:
    with pytest.raises(FileNotFoundError, match="expected one of hang, init-exit, panic, unhealthy"):
        broken_slot("lazy")
