"""A slot whose kernel modules the running kernel cannot load is refused before anything is written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bootselect.formats.update import encode_description, parse_description
from gptlib import type_guid
from update_agent.boot_chain import BootChain
from update_agent.errors import KernelMismatchError
from update_agent.transport.medium import Update

if TYPE_CHECKING:
    from collections.abc import Sequence

USR = type_guid("coreos-usr")


def update(releases: Sequence[str] | None, *, own_kernel: bool = False) -> Update:
    known = None if releases is None else tuple(releases)
    return Update("os", "2", USR, 1, "0" * 64, Path("slot.img"), "os.update", known, own_kernel)


@pytest.mark.parametrize(
    ("chain", "taken", "offered"),
    [
        (BootChain("6.1.0-1", hands_over=False), True, update(["6.1.0-1"])),
        (BootChain("6.1.0-1", hands_over=False), True, update(["6.1.0-1", "6.1.0-2"])),
        (BootChain("6.1.0-1", hands_over=False), True, update([])),
        (BootChain("6.1.0-1", hands_over=False), True, update(None)),
        (BootChain("6.1.0-1", hands_over=False), False, update(["6.1.0-2"])),
        (BootChain("6.1.0-1", hands_over=False), False, update(["6.1.0-2"], own_kernel=True)),
        (BootChain("6.1.0-1", hands_over=True), True, update(["6.1.0-2"], own_kernel=True)),
        (BootChain("6.1.0-1", hands_over=True), False, update(["6.1.0-1"])),
        (BootChain("6.1.0-1", hands_over=True), True, update(None)),
    ],
)
def test_a_slot_is_taken_where_its_modules_can_be_loaded(chain: BootChain, taken: bool, offered: Update) -> None:
    if taken:
        chain.require(offered)
    else:
        with pytest.raises(KernelMismatchError, match=r"os\.update: it .*; build the update from the definition"):
            chain.require(offered)


def test_the_running_kernel_is_the_one_of_uname_and_was_not_started_by_the_selector() -> None:
    assert BootChain.running() == BootChain(os.uname().release, hands_over=False)


def test_the_description_carries_what_is_asked_for() -> None:
    text = encode_description(
        name="os", version="2", slot_type="coreos-usr", size=1, sha256="0" * 64, releases=["6.1.0-1"], own_kernel=True
    )
    read = parse_description(text.encode())
    assert (read.releases, read.own_kernel) == (("6.1.0-1",), True)
