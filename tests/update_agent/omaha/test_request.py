"""What is asked and reported, beside what update_engine sends."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

from update_agent.omaha.events import FINISHED, INSTALLED, ROLLED_BACK, STARTED, Code, Event, failed, rebooted
from update_agent.omaha.request import Client, encode

RECORDED = ET.fromstring((Path(__file__).parent / "recorded/request.xml").read_text())  # noqa: S314
ME = Client("{e96281a6-d1af-4bde-9a0a-97b76e56dc57}", "1.0", "beta", "boot", "machine", "web-1", "x86_64")
LATER = {"machinealias"}
"""What Flatcar's update_engine added since that was recorded (GetAppXml in omaha_request_action.cc)."""


def asked(client: Client = ME, *events: Event, check: bool = True) -> ET.Element:
    return ET.fromstring(encode(client, events, check=check))  # noqa: S314


def test_a_question_has_the_elements_and_attributes_of_update_engine() -> None:
    ours = asked(ME, rebooted("0.9"))
    for element in ours.iter():
        theirs = RECORDED if element is ours else RECORDED.find(f".//{element.tag}")
        assert theirs is not None, element.tag
        assert set(element.attrib) - LATER <= set(theirs.attrib), element.tag
    assert [child.tag for child in ours.findall("app/*")] == [child.tag for child in RECORDED.findall("app/*")]
    same = ("protocol", "ismachine")
    assert {name: ours.get(name) for name in same} == {name: RECORDED.get(name) for name in same}
    assert ours.find("app/ping").attrib == {"active": "1"}  # type: ignore[union-attr]


def test_who_asks_is_said() -> None:
    app = asked().find("app")
    assert app is not None
    names = ("appid", "version", "track", "bootid", "machineid", "machinealias", "board")
    values = [ME.app_id, "1.0", "beta", "boot", "machine", "web-1", "amd64-usr"]
    assert [app.get(name) for name in names] == values


def test_a_report_asks_for_nothing() -> None:
    assert [child.tag for child in asked(ME, STARTED, check=False).findall("app/*")] == ["event"]


def test_reports_are_those_of_update_engine_to_the_letter() -> None:
    # The formats of GetAppBody in omaha_request_action.cc of github.com/flatcar/update_engine, with the numbers of its enumerations.
    said = encode(ME, [STARTED, FINISHED, INSTALLED, rebooted("1.0"), ROLLED_BACK, failed(Code.DOWNLOAD)], check=False)
    lines = [line.strip() for line in said.decode().splitlines() if "<event" in line]
    assert lines == [
        '<event eventtype="13" eventresult="1"></event>',
        '<event eventtype="14" eventresult="1"></event>',
        '<event eventtype="3" eventresult="1"></event>',
        '<event eventtype="3" eventresult="2" previousversion="1.0"></event>',
        '<event eventtype="3" eventresult="0" errorcode="44"></event>',
        '<event eventtype="3" eventresult="0" errorcode="9"></event>',
    ]


def test_whatever_an_os_release_says_is_one_attribute() -> None:
    odd = "a\"b'c<&>\n\x1b]]>Ω\ud800"
    app = asked(Client("id", odd, "stable", "boot", "machine")).find("app")
    assert app is not None
    assert app.get("version") == "a\"b'c<&>\\n\\x1b]]>Ω\\ud800"
    assert app.get("track") == "stable"
