"""Settings of the boot path: ``/etc/bootselect/boot.conf`` of the initramfs, overridden by the kernel command line."""

from __future__ import annotations

from bootselect.errors import BootselectError
from bootselect.initramfs.files import read_text
from bootselect.policy import DEFAULT_POLICY, POLICIES
from bootselect.slots import DEFAULT_TYPE, slot_type
from gptlib._record import Record
from gptlib.errors import InvalidValueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gptlib.guid import Guid

BOOT_CONF, CMDLINE = "/etc/bootselect/boot.conf", "/proc/cmdline"
_PREFIX = "bootselect."


class ConfigError(BootselectError):
    """A setting that cannot be used. The selector logs it and goes on with the default: a typing error must not brick."""


class BootConfig(Record):
    """What to look for and how. ``disk`` and ``partuuids`` come from the command line only.

    ``disk`` is a device node (``boot-disk=/dev/sda``) or empty; ``partuuids`` are the partition UUIDs, in lower case, of
    ``boot-disk=PARTUUID=``, ``usr=PARTUUID=`` and ``root=PARTUUID=``; ``chosen`` holds those of the last two, which name the
    slot itself where a boot loader has chosen it already (GRUB's gptprio). ``wait`` is in seconds, ``watchdog`` too; 0
    leaves the watchdog alone. ``hand_over`` is ``switch_root`` or ``kexec``; ``verity`` is ``off``, ``required``, or ``auto``
    for slots that are sealed.
    """

    policy: str
    slot_type: Guid
    fstype: str
    wait: float
    watchdog: int
    hand_over: str
    verity: str
    disk: str
    partuuids: tuple[str, ...]
    chosen: tuple[str, ...]
    problems: tuple[str, ...]


OFF, AUTO, REQUIRED = "off", "auto", "required"
SWITCH_ROOT, KEXEC = "switch_root", "kexec"
_DEFAULTS = {
    "policy": DEFAULT_POLICY,
    "slot-type": DEFAULT_TYPE,
    "fstype": "erofs",
    "wait": "30",
    "watchdog": "0",
    "hand-over": SWITCH_ROOT,
    "verity": OFF,
}
_OTHERS = {"on-nothing-bootable", "init"}
"""Settings that the shell around the selector reads."""


def parse_config(conf: str, cmdline: str) -> BootConfig:
    """The settings; what cannot be used is named in ``problems`` and the default stands."""
    problems: list[str] = []
    values = dict(_DEFAULTS)
    lines = [line.strip() for line in conf.splitlines()]
    words = cmdline.split()
    settings = [("boot.conf", line) for line in lines if line and not line.startswith("#")]
    settings += [("command line", word[len(_PREFIX) :]) for word in words if word.startswith(_PREFIX)]
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
    disk, named = _disk(words)
    return BootConfig(
        values["policy"],
        slot_type(values["slot-type"]),
        values["fstype"],
        float(values["wait"]),
        int(values["watchdog"]),
        values["hand-over"],
        values["verity"],
        disk,
        tuple(partuuid for _, partuuid in named),
        tuple(partuuid for name, partuuid in named if name != "boot-disk"),
        tuple(problems),
    )


def _problem(name: str, value: str) -> str:
    if name == "policy" and value not in POLICIES:
        return f"unknown policy; expected one of {', '.join(POLICIES)}"
    if name in {"wait", "watchdog"} and not value.isdigit():
        return "expected whole seconds"
    if name == "hand-over" and value not in {SWITCH_ROOT, KEXEC}:
        return f"expected {SWITCH_ROOT} or {KEXEC}"
    if name == "verity" and value not in {OFF, AUTO, REQUIRED}:
        return f"expected {OFF}, {AUTO} or {REQUIRED}"
    if name == "slot-type":
        try:
            slot_type(value)
        except InvalidValueError as error:
            return str(error)
    return ""


def _disk(words: list[str]) -> tuple[str, list[tuple[str, str]]]:
    """The disk that is named by its node, and (parameter, UUID) for each partition that is named."""
    disk = ""
    named = []
    for word in words:
        name, _, value = word.partition("=")
        if name not in {"boot-disk", "usr", "root"}:
            continue
        kind, _, partuuid = value.partition("=")
        if kind.upper() == "PARTUUID":
            named.append((name, partuuid.lower()))
        elif name == "boot-disk":
            disk = value
    return disk, named


def load_config(conf: str = BOOT_CONF, cmdline: str = CMDLINE) -> BootConfig:
    """Read both files; one that is missing counts as empty."""
    return parse_config(read_text(conf), read_text(cmdline))


def read_cmdline(path: str = CMDLINE) -> str:
    """The command line of the running kernel."""
    return read_text(path).strip()
