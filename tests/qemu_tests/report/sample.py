"""Runs to write, read, draw and open: one like a real one, and one in which every text is hostile."""

from __future__ import annotations

import struct
import zlib

from qemu_tests.report.model import (
    Boot,
    Event,
    Machine,
    Replay,
    Run,
    Screenshot,
    Slot,
    Table,
    Verdict,
    Write,
)

PROBE = "http://192.0.2.1/probe"
HOSTILE = (
    f"</script></style></title></textarea><script>fetch('{PROBE}');window.struck=1</script>"
    f"<img src='{PROBE}.png' onerror='window.struck=1'>\"'><svg onload=\"window.struck=1\">"
    f'<a href="javascript:window.struck=1">x</a><style>@import url({PROBE}.css)</style>'
    "\x1b[2J\x1b[31m\x1b]0;title\x07\x1b]8;;http://192.0.2.1/\x1b\\ \x00\x07\x08\x7f\x9b1m\u202eevil\u2066\u200b\ud800 &amp; -->"
)


def png(width: int = 2, height: int = 2) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress((b"\0" + b"\x20\x60\xa0" * width) * height)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def table(a: str, b: str, *problems: str) -> Table:
    def slot(label: str, text: str, number: int) -> Slot:
        priority, tries, successful = (int(part) for part in text.split("/"))
        return Slot(label, priority, tries, bool(successful), number)

    return Table((slot("USR-A", a, 2), slot("USR-B", b, 3)), ("cgpt", "sgdisk", "gptlib"), problems)


def console(slot: str, lines: int = 60) -> str:
    kernel = "".join(
        f"[{number / 7:12.6f}] virtio_blk virtio1: line {number} of the kernel\r\n" for number in range(lines)
    )
    return f"\x1b[2J\x1b[01;01H{kernel}bootselect: booting slot {slot} (partition 3, version 3), now 2/2/0\r\n"


def panic() -> Machine:
    before = [table("1/0/1", "2/3/0"), table("1/0/1", "2/2/0"), table("1/0/1", "2/1/0"), table("1/0/1", "2/0/0")]
    failed = [
        Boot(
            number=number,
            reason=f"try {number} of 3",
            begin=12.0 * number,
            end=12.0 * number + 10,
            slot="USR-B",
            version="3",
            outcome="failed",
            ending="reboot",
            before=before[number - 1],
            after=before[number],
            console=console("USR-B") + "Kernel panic - not syncing: sysrq triggered crash\r\n",
        )
        for number in (1, 2, 3)
    ]
    last = Boot(
        4,
        "nobody did anything",
        48,
        70,
        58,
        "USR-A",
        "2",
        "healthy",
        "poweroff",
        before[3],
        before[3],
        console("USR-A"),
    )
    events = (
        Event(11.0, "scene", "version 3 is broken: the kernel panics"),
        Event(11.5, "disk", "version 3 is installed and armed", before[0]),
        *(Event(boot.end or 0, "failed", "USR-B: the kernel panics; the machine reboots by itself") for boot in failed),
        Event(58.0, "up", "USR-A is up with version 2; healthy"),
        Event(70.0, "disk", "rolled back", before[3]),
    )
    shot = Screenshot(22.5, "the last lines of a kernel that panics", png(64, 36))
    return Machine("panic", "tests/test_update.py::test_rollback", "passed", "", (*failed, last), events, (shot,))


def cut() -> Machine:
    half = table("0/0/0", "2/0/1", "sgdisk: Identified 1 problems")
    boots = (
        Boot(
            1,
            "power on",
            20,
            44,
            30,
            "USR-B",
            "2",
            "healthy",
            "power cut",
            table("1/0/1", "2/0/1"),
            half,
            console("USR-B"),
        ),
        Boot(2, "power is back", 45, 66, None, "", "", "unknown", "", half, None, console("USR-B", 5)),
    )
    events = (
        Event(19.0, "scene", "the power fails while a slot is being written"),
        Event(44.0, "power cut", "half of version 3 is written"),
        Event(44.5, "damage", "header and entries of the primary are zeros"),
        Event(44.6, "disk", "the half-written slot was cleared first", half),
    )
    error = "machine cut, boot 2: the slot that greets: expected ('USR-B', '2'), found ('USR-A', '1')"
    return Machine("power-cut", "tests/test_update.py::test_cut", "failed", error, boots, events)


def replay(writes: int = 240) -> Replay:
    verdicts = (Verdict("the old slot boots"), Verdict("the new slot boots"), Verdict("no slot boots", bad=True))
    return Replay(
        "install, arm, reboot, select, mark-good",
        "all subsets of each flush epoch of up to 8 writes, 64 seeded ones of the larger; each write dropped; torn requests",
        verdicts,
        tuple(
            Write(
                number, f"4 sectors at {number * 8} of the disk", (max(0, 300 - 2 * number), number, int(number == 77))
            )
            for number in range(1, writes + 1)
        ),
    )


def full() -> Run:
    return Run(
        "An A/B disk, sampled",
        "2026-11-25T18:22:00.000000+00:00",
        72.5,
        (panic(), cut()),
        (replay(),),
        ("booted with tcg: there is no /dev/kvm",),
    )


def hostile() -> Run:
    slots = Table((Slot(HOSTILE, 15, 15, successful=True), Slot("", 0, 0, successful=False)), (HOSTILE,), (HOSTILE,))
    boot = Boot(1, HOSTILE, 0, 5, 2, HOSTILE, HOSTILE, "healthy", HOSTILE, slots, None, f"{HOSTILE}\n" * 3)
    events = tuple(
        Event(at, kind, HOSTILE, slots) for at, kind in enumerate(("scene", "disk", "power cut", "damage", HOSTILE))
    )
    machine = Machine(HOSTILE, HOSTILE, "failed", HOSTILE, (boot,), events, (Screenshot(1, HOSTILE, png()),))
    states = Replay(HOSTILE, HOSTILE, (Verdict(HOSTILE, bad=True),), (Write(1, HOSTILE, (3,)),))
    return Run(HOSTILE, HOSTILE, 6, (machine, machine), (states,), (HOSTILE,))
