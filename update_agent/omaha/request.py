"""What a machine asks and reports, as update_engine writes it (GetRequestXml in omaha_request_action.cc)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

from gptlib.printable import printable
from update_agent import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from update_agent.omaha.events import Event

CONTENT_TYPE = "text/xml"
_BOARDS = {"x86_64": "amd64-usr", "aarch64": "arm64-usr"}
"""What ``uname -m`` prints -> what Flatcar calls that board, and Nebraska knows the architecture by."""


@dataclass(frozen=True)
class Client:
    """Who asks: ``version`` is the running one, ``track`` the group, ``hardware`` what ``uname -m`` prints. Texts may be empty."""

    app_id: str
    version: str
    track: str
    boot_id: str
    machine_id: str
    alias: str = ""
    hardware: str = ""


def encode(client: Client, events: Iterable[Event] = (), *, check: bool) -> bytes:
    """The document. ``check``: it asks for an update, too, and says that the machine is there."""
    asked = ['  <ping active="1"></ping>', "  <updatecheck></updatecheck>"] if check else []
    app = {
        "appid": client.app_id,
        "version": client.version,
        "track": client.track,
        "bootid": client.boot_id,
        "machineid": client.machine_id,
        "machinealias": client.alias,
        "board": _BOARDS.get(client.hardware, client.hardware),
        "delta_okay": "false",
    }
    me = f"slotboot-{__version__}"
    request = {
        "protocol": "3.0",
        "version": me,
        "updaterversion": me,
        "installsource": "scheduler",
        "ismachine": "1",
    }
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<request{_attributes(request)}>",
        f" <os{_attributes({'platform': 'slotboot', 'version': me, 'sp': f'{client.version}_{client.hardware}'})}></os>",
        f" <app{_attributes(app)}>",
        *asked,
        *(f"  <event{_attributes(_fields(event))}></event>" for event in events),
        " </app>",
        "</request>",
        "",
    ]
    return "\n".join(lines).encode()


def _fields(event: Event) -> dict[str, str]:
    fields = {
        "eventtype": event.kind,
        "eventresult": event.result,
        "errorcode": None if event.code is None else int(event.code),
        "previousversion": event.previous,
    }
    return {name: str(value) for name, value in fields.items() if value is not None}


def _attributes(fields: Mapping[str, str]) -> str:
    """Escaped: what an os-release says may hold anything, and XML knows no control characters."""
    return "".join(f" {name}={quoteattr(printable(value))}" for name, value in fields.items())
