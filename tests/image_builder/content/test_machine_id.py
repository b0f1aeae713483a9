"""A slot with the id of one machine would make one machine of a fleet: the builder says so."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from image_builder.api import build_artifact, load_definition
from tests.image_builder.content.told import Told

if TYPE_CHECKING:
    from pathlib import Path

DEFINITION = """
[image]
name = "own"

[slot.own]
kind = "tree"
source = "tree"

[[partition]]
label = "USR-A"
type = "coreos-usr"
size = "32M"
content = "slot.own"
"""
ID = "69d27b356a94476da859461d3a3bc6fd\n"


@pytest.mark.parametrize(
    ("path", "text", "warned"),
    [
        ("etc/machine-id", ID, True),
        ("var/lib/dbus/machine-id", ID.strip(), True),
        ("etc/machine-id", "", False),
        ("etc/machine-id", "uninitialized\n", False),
        ("etc/hostname", ID, False),
    ],
)
def test_an_id_of_one_machine_in_a_slot_is_told(tmp_path: Path, path: str, text: str, warned: bool) -> None:
    (tmp_path / "own.toml").write_text(DEFINITION)
    for name, content in (("etc/os-release", "ID=own\n"), ("sbin/init", "#!/bin/sh\n"), (path, text)):
        file = tmp_path / "tree" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    told = Told()
    build_artifact(load_definition(tmp_path / "own.toml"), tmp_path / "out", cache=tmp_path / "cache", progress=told)
    wanted = [f"warning: slot.own: {path} holds the id of one machine, and all would have it"] if warned else []
    assert [note for note in told.notes if "id of one machine" in note] == wanted


def test_an_id_has_the_size_of_those_that_systemd_makes(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    subprocess.run(["systemd-machine-id-setup", f"--root={tmp_path}"], check=True, capture_output=True)
    assert len((tmp_path / "etc/machine-id").read_bytes()) == len(ID)
