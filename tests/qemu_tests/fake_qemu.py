"""Stands in for QEMU: speaks QMP, a console and a control port on inherited descriptors, and does as it is told.

Of QEMU's command line it takes the descriptors (``-chardev socket,id=monitor,fd=N`` and so on).
Orders on the control port (base64 of a word): ``reboot``, ``die``, ``say``, ``nonsense``, ``hang``, ``leave``,
``print LINE`` and ``prompt TEXT`` on the console.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import re
import selectors
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_FDS = dict(re.findall(r"socket,id=(\w+),fd=(\d+)", " ".join(sys.argv)))
MONITOR, SERIAL, CONTROL = (int(_FDS[name]) for name in ("monitor", "serial", "control"))
boots = itertools.count(1)
actions: dict[str, str] = {}


def qmp(message: dict[str, Any]) -> None:
    if "event" in message:
        message["timestamp"] = {"seconds": 0, "microseconds": 0}
    os.write(MONITOR, json.dumps(message).encode() + b"\n")


def start() -> None:
    number = next(boots)
    qmp({"event": "VSERPORT_CHANGE", "data": {"id": "agent", "open": True}})
    os.write(SERIAL, b"slotboot: booted slot=FAKE version=%d\n" % number)
    os.write(CONTROL, b"ready FAKE %d id-%d\n" % (number, number))


def shut_down(reason: str) -> None:
    qmp({"event": "SHUTDOWN", "data": {"guest": True, "reason": reason}})
    qmp({"event": "STOP"})


def command(request: dict[str, Any]) -> None:
    name = request["execute"]
    if name == "unknown":
        qmp(
            {
                "error": {"class": "CommandNotFound", "desc": "The command unknown has not been found"},
                "id": request["id"],
            }
        )
        return
    if name == "silence":
        return
    if name == "hang-up":
        sys.exit(0)
    qmp({"return": request.get("arguments", {}), "id": request.get("id")})
    if name == "cont":
        start()
    elif name == "set-action":
        actions.update(request["arguments"])
    elif name == "system_reset" and actions.get("reboot") != "reset":
        shut_down("host-qmp-system-reset")
    elif name == "system_reset":
        qmp({"event": "RESET", "data": {"guest": False, "reason": "host-qmp-system-reset"}})
    elif name == "quit":
        sys.exit(0)


def order(line: bytes) -> None:
    _, number, encoded = line.split(b" ")
    word = base64.b64decode(encoded).decode()
    if "reboot" in word:
        shut_down("guest-reset")
    elif "poweroff" in word:
        shut_down("guest-shutdown")
    elif word == "die":
        os.write(SERIAL, b"last words")
        sys.stderr.write("qemu: something broke\n")
        sys.exit(3)
    elif word == "leave":
        qmp({"event": "VSERPORT_CHANGE", "data": {"id": "agent", "open": False}})
        os.write(SERIAL, b"the agent has left\n")
    elif word.startswith("print "):
        os.write(SERIAL, word.removeprefix("print ").encode() + b"\n")
    elif word.startswith("prompt "):
        os.write(SERIAL, word.removeprefix("prompt ").encode())
    elif word == "nonsense":
        os.write(CONTROL, b"login: \n")
    elif word != "hang":
        os.write(CONTROL, b"done %s 0 %s\n" % (number, base64.b64encode(word.encode())))


def typed(line: bytes) -> None:
    os.write(SERIAL, b"sh: %s: not found\n" % line)


def main() -> None:
    qmp({"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}, "package": ""}, "capabilities": []}})
    selector = selectors.DefaultSelector()
    selector.register(MONITOR, selectors.EVENT_READ, Stream(json_values, command))
    selector.register(CONTROL, selectors.EVENT_READ, Stream(lines, order))
    selector.register(SERIAL, selectors.EVENT_READ, Stream(lines, typed))
    while True:
        for key, _ in selector.select():
            data = os.read(key.fd, 65536)
            if not data:
                sys.exit(0)
            key.data.feed(data)


class Stream:
    def __init__(self, split: Callable[[bytes], tuple[list[Any], bytes]], take: Callable[[Any], None]) -> None:
        self._split, self._take, self._rest = split, take, b""

    def feed(self, data: bytes) -> None:
        values, self._rest = self._split(self._rest + data)
        for value in values:
            self._take(value)


def lines(data: bytes) -> tuple[list[Any], bytes]:
    *whole, rest = data.split(b"\n")
    return whole, rest


def json_values(data: bytes) -> tuple[list[Any], bytes]:
    """QMP is a stream of values; nothing need stand between them."""
    values, text = [], data.decode().lstrip()
    while text:
        try:
            value, end = json.JSONDecoder().raw_decode(text)
        except json.JSONDecodeError:
            break
        values.append(value)
        text = text[end:].lstrip()
    return values, text.encode()


if __name__ == "__main__":
    main()
