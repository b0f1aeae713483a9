"""Headless Chromium for looking at reports: the DevTools protocol over a pipe, no library, nothing to listen on.

It keeps what a page must not do: requests, lines on the console, errors.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from select import select
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from qemu_tests.errors import LabError
from qemu_tests.harness.tools import find_tool

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

SECONDS = 60.0
_OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--lang=en"),
    *("--force-color-profile=srgb", "--font-render-hinting=none", "--no-pings", "--disable-default-apps"),
)


class BrowserError(LabError):
    """Chromium ended, refused a command, did not answer in time, or a script in the page failed."""


def _above_ten(descriptor: int) -> int:
    """Another number for it, so that 3 and 4 can be given away in either order."""
    other = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return other


@dataclass
class Seen:
    """What the page did. ``requests`` are addresses, without that of the page itself and of what it holds (``data:``)."""

    requests: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    """Lines on the console, violations of the policy, and uncaught errors."""


class Browser:
    """A Chromium with one page. Use it as a context manager; its profile is a new folder that goes with it."""

    def __init__(self) -> None:
        """Raises MissingToolError."""
        with ExitStack() as stack:
            program = find_tool("chromium")
            profile = stack.enter_context(TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True))
            # Chromium reads from descriptor 3 and writes to 4.
            command_read, self._commands = os.pipe()
            self._answers, answer_write = os.pipe()
            command_read, answer_write = _above_ten(command_read), _above_ten(answer_write)
            argv = [
                program,
                *_OPTIONS,
                "--remote-debugging-pipe",
                f"--user-data-dir={profile}",
                "about:blank",
            ]
            shell = 'exec 3<&"$0" 4>&"$1"; shift; exec "$@"'
            self._process = subprocess.Popen(
                ["bash", "-c", shell, str(command_read), str(answer_write), *argv],
                pass_fds=(command_read, answer_write),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            os.close(command_read)
            os.close(answer_write)
            stack.callback(self._end)
            self._stack = stack.pop_all()
        self._rest, self._number, self._session = b"", 0, ""
        self._events: list[dict[str, Any]] = []
        self._address = ""
        self.seen = Seen()

    def _end(self) -> None:
        os.close(self._commands)
        os.close(self._answers)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        try:
            (target,) = (each for each in self._call("Target.getTargets")["targetInfos"] if each["type"] == "page")
            attached = self._call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
            self._session = attached["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self._call(f"{domain}.enable")
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401  # JSON
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + SECONDS
        while True:
            answer = self._read(method, deadline)
            if answer.get("id") == self._number:
                break
            self._take(answer)
        if "error" in answer:
            raise BrowserError(f"chromium: {method} was refused: {answer['error'].get('message')}")
        result: dict[str, Any] = answer["result"]
        return result

    def _read(self, doing: str, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select([self._answers], [], [], max(deadline - time.monotonic(), 0))
            data = os.read(self._answers, 1 << 20) if ready else b""
            if not data:
                raise BrowserError(f"chromium: {'it ended' if ready else 'no answer'} during {doing}")
            self._rest += data
        line, self._rest = self._rest.split(b"\0", 1)
        message: dict[str, Any] = json.loads(line)
        return message

    def _take(self, message: dict[str, Any]) -> None:
        method, data = message.get("method", ""), message.get("params", {})
        if method == "Network.requestWillBeSent":
            address = data["request"]["url"]
            if address != self._address and not address.startswith("data:"):
                self.seen.requests.append(address)
        elif method == "Runtime.consoleAPICalled":
            self.seen.messages.append(
                " ".join(str(each.get("value", each.get("description"))) for each in data["args"])
            )
        elif method == "Runtime.exceptionThrown":
            details = data["exceptionDetails"]
            self.seen.messages.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Log.entryAdded":
            self.seen.messages.append(data["entry"]["text"])
        self._events.append(message)

    def size(self, width: int, height: int, *, scale: float = 1.0, phone: bool = False) -> None:
        """The size of the window in CSS pixels, and how many pixels each has."""
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=phone
        )

    def colours(self, scheme: str, medium: str = "screen") -> None:
        """``light`` or ``dark``; ``print`` instead of ``screen``."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._call("Emulation.setEmulatedMedia", media=medium, features=features)

    def open(self, page: Path) -> None:
        """Load a file and wait until it has loaded. What was seen before is forgotten."""
        self.seen, self._events = Seen(), []
        self._address = page.resolve().as_uri()
        self._call("Page.navigate", url=self._address)
        deadline = time.monotonic() + SECONDS
        while not any(event.get("method") == "Page.loadEventFired" for event in self._events):
            self._take(self._read("loading", deadline))

    def evaluate(self, script: str) -> Any:  # noqa: ANN401  # JSON
        """The value of an expression, once its promise is kept. Raises BrowserError when it throws."""
        answer = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise BrowserError(f"chromium: {script!r} failed: {answer['exceptionDetails'].get('exception')}")
        return answer["result"].get("value")

    def settle(self) -> None:
        """Wait until the page has drawn twice: what it had put off to the next frame is done."""
        self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")

    def type(self, text: str) -> None:
        """Type into whatever has the focus."""
        self._call("Input.insertText", text=text)
        self.settle()

    def press(self, key: str, *, text: str = "", shift: bool = False) -> None:
        """A key, by its DOM name such as ``Enter`` or ``Tab``; ``text`` is what it types."""
        codes = {"Enter": 13, "Tab": 9, "Escape": 27}
        common = {"key": key, "windowsVirtualKeyCode": codes.get(key, ord(key[0])), "modifiers": 8 * shift}
        self._call("Input.dispatchKeyEvent", type="keyDown", text=text or ("\r" if key == "Enter" else ""), **common)
        self._call("Input.dispatchKeyEvent", type="keyUp", **common)
        self.settle()

    def picture(self, *, whole: bool = False, height: float | None = None) -> bytes:
        """PNG of the window, of the whole page, or of the page down to ``height``."""
        options: dict[str, Any] = {}
        if whole or height is not None:
            content = self._call("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"x": 0, "y": 0, "width": content["width"], "height": height or content["height"], "scale": 1}
            options = {"captureBeyondViewport": True, "clip": clip}
        return base64.b64decode(self._call("Page.captureScreenshot", format="png", **options)["data"])

    def pages(self) -> bytes:
        """PDF of the page as it is printed."""
        return base64.b64decode(self._call("Page.printToPDF", printBackground=True)["data"])
