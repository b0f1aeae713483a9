"""Settings of the boot path: ``/etc/bootselect/boot.conf`` of the initramfs, overridden by the kernel command line."""

from __future__ import annotations

from bootselect.errors import BootselectError
from bootselect.formats.slot_files import HANDED_OVER
from bootselect.initramfs.cmdline import name_of, named_partitions, split
from bootselect.initramfs.files import read_text
from bootselect.policy import DEFAULT_POLICY, POLICIES
from bootselect.slots import DEFAULT_TYPE, slot_type
from gptlib._record import Record
from gptlib.errors import InvalidValueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bootselect.initramfs.cmdline import Name
    from bootselect.policy import Policy
    from gptlib.table.guid import Guid

BOOT_CONF, CMDLINE = "/etc/bootselect/boot.conf", "/proc/cmdline"
_PREFIX = "bootselect."


class ConfigError(BootselectError):
    """A setting that cannot be used. The selector logs it and goes on with the default: a typing error must not brick."""


class BootConfig(Record):
    """What to look for and how. ``disk``, ``chosen`` and ``handed_over`` come from the command line only.

    ``disk`` is what ``boot-disk=`` names. ``chosen`` are the partition UUIDs, in lower case, by which a boot loader names the
    slot that it has chosen already (GRUB's gptprio), the most specific first; ``handed_over`` is that of the slot whose kernel
    the selector itself has started, or empty. ``wait`` is in seconds, ``settle`` and ``watchdog`` too; 0 leaves the watchdog
    alone. ``fstype`` is a file system, or ``auto`` where the slot tells. ``hand_over`` is ``switch_root`` or ``kexec``;
    ``verity`` is ``off``, ``required``, or ``auto`` for slots that are sealed.
    """

    policy: Policy
    slot_type: Guid
    fstype: str
    wait: float
    settle: float
    watchdog: int
    hand_over: str
    verity: str
    disk: Name | None
    chosen: tuple[str, ...]
    handed_over: str
    problems: tuple[str, ...]

    @property
    def partuuids(self) -> tuple[str, ...]:
        """The UUIDs of all partitions that are named as slots."""
        return (self.handed_over, *self.chosen) if self.handed_over else self.chosen


OFF, AUTO, REQUIRED = "off", "auto", "required"
SWITCH_ROOT, KEXEC = "switch_root", "kexec"
_DEFAULTS = {
    "policy": DEFAULT_POLICY.name,
    "slot-type": DEFAULT_TYPE,
    "fstype": AUTO,
    "wait": "30",
    "settle": "3",
    "watchdog": "0",
    "hand-over": SWITCH_ROOT,
    "verity": OFF,
}
_OTHERS = {"on-nothing-bootable", "init"}
"""Settings that the shell around the selector reads."""
_SECONDS = {"wait", "settle", "watchdog"}
_LONGEST = 24 * 60 * 60


def parse_config(conf: str, cmdline: str) -> BootConfig:
    """The settings; what cannot be used is named in ``problems`` and the default stands."""
    problems: list[str] = []
    values = dict(_DEFAULTS)
    lines = [line.strip() for line in conf.splitlines()]
    words = split(cmdline)
    settings = [("boot.conf", line) for line in lines if line and not line.startswith("#")]
    settings += [("command line", word[len(_PREFIX) :]) for word in words if _is_setting(word)]
    for where, setting in settings:
        name, separator, value = (part.strip() for part in setting.partition("="))
        if separator and name in values:
            problem = _problem(name, value)
            if not problem:
                values[name] = value
        else:
            problem = "" if name in _OTHERS else "unknown setting"
        if problem:
            problems.append(f"{where}: {setting!r}: {problem}")
    disks = [word.partition("=")[2] for word in words if word.startswith("boot-disk=")]
    handed_over = [word[len(HANDED_OVER) :].lower() for word in words if word.startswith(HANDED_OVER)]
    return BootConfig(
        POLICIES[values["policy"]],
        slot_type(values["slot-type"]),
        values["fstype"],
        float(values["wait"]),
        float(values["settle"]),
        int(values["watchdog"]),
        values["hand-over"],
        values["verity"],
        name_of(disks[-1]) if any(disks[-1:]) else None,
        tuple(named_partitions(words)),
        handed_over[-1] if handed_over else "",
        tuple(problems),
    )


def _is_setting(word: str) -> bool:
    return word.startswith(_PREFIX) and not word.startswith(HANDED_OVER)


def _problem(name: str, value: str) -> str:
    if name == "policy" and value not in POLICIES:
        return f"unknown policy; expected one of {', '.join(POLICIES)}"
    if name in _SECONDS and not (value.isascii() and value.isdigit() and len(value) < 9 and int(value) <= _LONGEST):
        return f"expected whole seconds, {_LONGEST} at most"
    if name == "hand-over" and value not in {SWITCH_ROOT, KEXEC}:
        return f"expected {SWITCH_ROOT} or {KEXEC}"
    if name == "verity" and value not in {OFF, AUTO, REQUIRED}:
        return f"expected {OFF}, {AUTO} or {REQUIRED}"
    if name == "fstype" and not value:
        return f"expected a file system, or {AUTO}"
    if name == "slot-type":
        try:
            slot_type(value)
        except InvalidValueError as error:
            return str(error)
    return ""


def load_config(conf: str = BOOT_CONF, cmdline: str = CMDLINE) -> BootConfig:
    """Read both files; one that is missing counts as empty."""
    return parse_config(read_text(conf), read_text(cmdline))


def read_cmdline(path: str = CMDLINE) -> str:
    """The command line of the running kernel."""
    return read_text(path).strip()
