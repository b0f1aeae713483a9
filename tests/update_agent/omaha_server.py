"""An Omaha server on loopback, written from what go-omaha's handler.go and Nebraska's omaha.go do with a request, and strict about it.

It offers ``version`` with ``sha256`` (base64) to whoever runs another one, and, as Nebraska, nothing to a machine that it believes to be
updating: from 13/1 on until 3/2, or 3/0.
"""

from __future__ import annotations

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple, Self
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Callable

APP_ID = "{e96281a6-d1af-4bde-9a0a-97b76e56dc57}"
KNOWN = {(13, 1), (14, 1), (3, 1), (3, 2), (3, 0)}
"""The pairs of type and result that Nebraska has in its table event_type, of those that an update has."""
PORTAL = b"<html><body>Please log in to our hotel.</body></html>"


class Told(NamedTuple):
    """A report, and the version that its sender ran."""

    kind: int
    result: int
    code: str | None
    previous: str | None
    version: str


class OmahaServer(ThreadingHTTPServer):
    """Until the end of the block. ``wrong`` has what was wrong with requests."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.version, self.sha256, self.package = "", "", ""
        self.told: list[Told] = []
        self.checks: list[dict[str, str]] = []
        self.wrong: list[str] = []
        self.posts = 0
        self.updating = False
        self.instead: Callable[[_Handler, bool], bool] = lambda _handler, _check: False
        """Answers in place of the server, where it returns True. What it swallows was not processed."""
        self.over = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.shutdown()
        self.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1/update/"

    def offer(self, version: str, sha256: str, package: str = "") -> None:
        self.version, self.sha256, self.package = version, sha256, package

    def handle_error(self, *_: object) -> None:
        """A client that is gone is no error."""


class _Handler(BaseHTTPRequestHandler):
    server: OmahaServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts += 1
        try:
            app = self._judged(body)
        except (ValueError, KeyError, ET.ParseError) as error:
            self.server.wrong.append(repr(error))
            self.answer(b"", status=400)
            return
        if not self.server.instead(self, app.find("updatecheck") is not None):
            self.answer(self._served(app))

    def _judged(self, body: bytes) -> ET.Element:
        """The element of the application. Raises ValueError and KeyError for what the protocol does not allow."""
        if not self.headers["Content-Type"].startswith("text/xml"):
            raise ValueError(self.headers["Content-Type"])
        request = ET.fromstring(body)  # noqa: S314
        (app,) = request.findall("app")
        if (request.tag, request.attrib["protocol"], app.attrib["appid"]) != ("request", "3.0", APP_ID):
            raise ValueError(body)
        for name in ("version", "track", "bootid", "machineid"):
            if not app.attrib[name]:
                raise ValueError(f"an empty {name}")
        ping = app.find("ping")
        if (app.find("updatecheck") is None) != (ping is None) or (ping is not None and ping.attrib["active"] != "1"):
            raise ValueError(body)
        for event in app.findall("event"):
            pair = int(event.attrib["eventtype"]), int(event.attrib["eventresult"])
            if pair not in KNOWN or ("errorcode" in event.attrib) != (pair == (3, 0)):
                raise ValueError(body)
            if ("previousversion" in event.attrib) != (pair == (3, 2)):
                raise ValueError(body)
        return app

    def _served(self, app: ET.Element) -> bytes:
        server, fields = self.server, app.attrib
        parts = []
        for event in app.findall("event"):
            found = event.attrib
            told = Told(
                int(found["eventtype"]),
                int(found["eventresult"]),
                found.get("errorcode"),
                found.get("previousversion"),
                fields["version"],
            )
            server.told.append(told)
            server.updating = (told.kind, told.result) not in {(3, 2), (3, 0)}
            parts.append('<event status="ok"></event>')
        status = "ok"
        if app.find("updatecheck") is not None:
            server.checks.append(dict(fields))
            parts.append('<ping status="ok"></ping>')
            if server.updating:
                status = "error-updateInProgressOnInstance"
                parts.append('<updatecheck status="error-internal"></updatecheck>')
            elif server.version in ("", fields["version"]):
                parts.append('<updatecheck status="noupdate"></updatecheck>')
            else:
                parts.append(self._offer())
        head = '<response protocol="3.0" server="test"><daystart elapsed_seconds="0"></daystart>'
        return f'{head}<app appid="{APP_ID}" status="{status}">{"".join(parts)}</app></response>'.encode()

    def _offer(self) -> str:
        server = self.server
        package = f' hash_sha256="{server.package}"' if server.package else ""
        return (
            '<updatecheck status="ok"><urls><url codebase="http://127.0.0.1:1/"></url></urls>'
            f'<manifest version="{server.version}"><packages><package name="x" hash="" size="1"{package}></package></packages>'
            f'<actions><action event="postinstall" sha256="{server.sha256}"></action></actions></manifest></updatecheck>'
        )

    def answer(self, body: bytes, status: int = 200, **headers: str) -> bool:
        self.send_response(status)
        for name, value in {"Content-Type": "text/xml", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)
        return True

    def log_message(self, *_: object) -> None:
        """Tests say what they saw."""
