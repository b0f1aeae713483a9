"""docs/update-interfaces.md says what the code does."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.documentation import ROOT, table
from tests.update_agent.state.machines import NOW, machine_in
from update_agent.agent.coordination import Stage
from update_agent.agent.journal import KINDS
from update_agent.agent.manager import Manager
from update_agent.agent.metrics import Metrics
from update_agent.agent.place import Place
from update_agent.agent.update_engine import OPERATIONS, Status
from update_agent.agent.view import view_of
from update_agent.cli.update_engine_client import FLAGS
from update_agent.config.settings import Settings
from update_agent.state.transitions import State

PAGE = ROOT / "docs/update-interfaces.md"


def test_every_number_is_in_the_table_as_it_is_in_the_file() -> None:
    shown = Metrics("stable", "reboot", enabled=True)
    shown.show(view_of(machine_in(State.IDLE), "1.0"), NOW)
    found = set()
    for place in (Place("g", "m", NOW), Place("g", "m", NOW, why="all places are taken")):
        shown.place = place
        for family in text_string_to_metric_families(shown.text().decode()):
            sample = family.samples[0]
            labels = f"{{{','.join(sorted(sample.labels))}}}" if sample.labels else ""
            found.add((f"`{sample.name}{labels}`", family.type, family.documentation))
    assert {tuple(cells) for cells in table(PAGE, "## Metrics")} == found


def test_every_message_is_in_the_table() -> None:
    wanted = [[f"`{kind.id}`", kind.name, str(kind.priority), f"`{kind.text}`"] for kind in KINDS.values()]
    assert table(PAGE, "## Journal") == wanted


def test_every_state_is_in_the_table_with_its_operation() -> None:
    assert table(PAGE, "### Operations") == [[f"`{state}`", f"`{OPERATIONS[state]}`"] for state in State]


def test_every_member_of_the_interface_is_in_the_table() -> None:
    interface = Manager(print, print, lambda: Status(0, 0.0, "", "", 0)).introspect().to_xml()
    found = {
        (f"`{member.attrib['name']}`", "".join(arg.attrib["type"] for arg in member.findall("arg")))
        for member in ET.fromstring(ET.tostring(interface))  # noqa: S314  (our own)
        if member.tag in ("method", "signal")
    }
    assert {(cells[0], cells[1].strip("`")) for cells in table(PAGE, "## D-Bus")} == found


def test_every_flag_is_in_the_table() -> None:
    assert {cells[0] for cells in table(PAGE, "## update_engine_client")} == {f"`-{name}`" for name in FLAGS}


def test_every_file_and_every_stage_is_in_the_table() -> None:
    rows = {cells[0].strip("`"): cells[1] for cells in table(PAGE, "## Files under /run")}
    assert Settings().metrics_file in rows
    told = rows["/run/update-engine/coordinator.conf"]
    assert [f"`{stage}`" in told for stage in Stage] == [True] * 4


@pytest.mark.parametrize("name", ["com.coreos.update1.conf", "slotboot-update.service", "slotboot-machine-id.service"])
def test_the_page_names_what_is_installed(name: str) -> None:
    assert name in PAGE.read_text()
