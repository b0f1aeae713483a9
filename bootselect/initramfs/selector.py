"""The selector: called once by ``/init`` of the initramfs, it leaves the chosen slot mounted read-only on ``/slot``.

Exit codes: 0 a slot is mounted; 3 nothing is bootable; 1 anything else. What happens then is up to ``/init``.
"""

from __future__ import annotations

import os
import time

from bootselect.errors import DiskChoiceError, NothingBootableError, reason_of
from bootselect.formats.decision import DECISION_PATH, FOLDER, JSON_NAME, SHELL_NAME, Decision
from bootselect.initramfs.cmdline import UUID
from bootselect.initramfs.config import KEXEC, OFF, REQUIRED, SWITCH_ROOT, BootConfig, load_config, read_cmdline
from bootselect.initramfs.disks import choose_at_once, disk_of, loader_partuuid, scan
from bootselect.initramfs.log import ERROR, WARNING, Log
from bootselect.initramfs.mount import SLOT_ROOT, InitramfsError, UnusableSlotError, mount_slot, run_program
from bootselect.selection import Selection, describe, open_for_selection, select, take
from bootselect.slots import slots_of
from gptlib.linux.nodes import partition_name
from gptlib.table.attributes import short_form

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from bootselect.initramfs.disks import Candidate, DiskChoice
    from bootselect.initramfs.mount import Run, System
    from bootselect.policy import Policy
    from gptlib.disk import Disk
    from gptlib.table.table import Table

    HandOver = Callable[[Decision], None]
    """What follows once a slot is mounted; what it raises makes the slot unusable."""

LOCK_DEADLINE = 10.0
"""Seconds to wait for another writer; at boot that can only be a probe of udev's kind."""


def main() -> None:
    """Select and mount a slot, and end the process.

    Nothing of ours is buffered: log and decision are written and closed. So the interpreter need not take itself apart, which
    costs as much as the decision itself.
    """
    os._exit(run())


def run() -> int:
    """Select and mount a slot; the exit code, whatever happens, with a line on the console where it failed."""
    log = None
    try:
        log = Log()
        boot(log)
    except NothingBootableError as error:
        _last_word(str(error), log)
        return 3
    except BaseException as error:  # noqa: BLE001  (a traceback is no last word on a console)
        _last_word(reason_of(error), log)
        return 1
    return 0


def _last_word(text: str, log: Log | None) -> None:
    try:
        (log or Log()).say(text, ERROR)
    except Exception:  # noqa: BLE001  (no memory to say it in words)
        os.write(2, b"bootselect: the selector failed, and so did its log\n")


def boot(log: Log) -> None:
    """Find the disk, and boot the best of its slots that works. Raises what goes wrong with the disk as a whole."""
    config = load_config()
    for problem in config.problems:
        log.say(f"ignored: {problem}", WARNING)
    config = _with_a_hand_over_that_is_there(config, log)
    choice = _find(config, log)
    log.say(f"disk {choice.path}: {choice.reason}")

    def hand_over(decision: Decision) -> None:
        _leave(_start_watchdog(decision, config, log), log)
        _start_kernel(decision, config, log)

    boot_disk(choice.path, config, log, run_program, hand_over)


def _with_a_hand_over_that_is_there(config: BootConfig, log: Log) -> BootConfig:
    """The settings, with ``switch_root`` for a ``kexec`` that was left out of the initramfs. It is said, and no slot's fault."""
    if config.hand_over == KEXEC:
        try:
            from bootselect.initramfs import kexec  # noqa: F401
        except ImportError:
            log.say("hand-over=kexec: this initramfs was built without it; the slot starts under this kernel", ERROR)
            return config._replace(hand_over=SWITCH_ROOT)
    return config


def _find(config: BootConfig, log: Log) -> DiskChoice:
    passed_over: dict[str, str] = {}
    by_filesystem = config.disk is not None and config.disk.kind == UUID

    def look() -> list[Candidate]:
        return scan(config.slot_type, passed_over, filesystems=by_filesystem)

    loader = loader_partuuid()
    try:
        choice = choose_at_once(look(), config, loader, disk_of=disk_of)
        if choice is not None:
            return choice
        # Imported here: most boots wait for nothing.
        from bootselect.initramfs.find import find_disk
        from bootselect.initramfs.uevents import Uevents

        return find_disk(config, loader, look=look, listen=Uevents, clock=time.monotonic, say=log.say, disk_of=disk_of)
    except DiskChoiceError:
        for path, why in passed_over.items():
            log.say(f"{path} is not used: {why}", WARNING)
        raise


def boot_disk(path: str, config: BootConfig, log: Log, run: Run, hand_over: HandOver = lambda _: None) -> Decision:
    """Select slots of the disk until one can be mounted and handed over to; those that cannot are passed over in the same boot.

    Raises NothingBootableError when none is left, and what ``bootselect.selection.select`` raises.
    """
    disk, unwritable = open_for_selection(path, lock_deadline=LOCK_DEADLINE)
    with disk:
        _report(disk, config, log)
        unusable: set[int] = set()
        chosen = take(
            disk,
            config.policy,
            config.slot_type,
            config.chosen,
            config.handed_over,
            refuse=lambda why: log.say(f"{why}: a slot is selected as if it were not named", WARNING),
        )
        while True:
            selection = chosen or select(
                disk, config.policy, config.slot_type, unwritable=unwritable, excluded=unusable
            )
            chosen = None
            if selection.problem:
                log.say(f"nothing was written: {selection.problem}", ERROR)
            try:
                return _boot_slot(disk, selection, config, log, run, hand_over)
            except Exception as error:  # noqa: BLE001  (whatever is wrong with this slot, the next one may work)
                unusable.add(selection.number)
                unwritable = _pass_over(disk, selection, error, unwritable, log)


def _boot_slot(
    disk: Disk, selection: Selection, config: BootConfig, log: Log, run: Run, hand_over: HandOver
) -> Decision:
    decision = decide(disk.path, selection, config.policy)

    def ready(system: System) -> None:
        _load_kernel(decision, config)
        attributes = short_form(decision.priority, decision.tries, decision.successful)
        log.say(
            f"booting slot {decision.label} (partition {decision.partition}, version {system.version}), now {attributes}"
        )
        log.say(f"reason: {decision.reason}")
        hand_over(decision)

    _mount(disk, decision, selection.table, config, run, ready)
    return decision


def _pass_over(disk: Disk, selection: Selection, error: Exception, unwritable: str, log: Log) -> str:
    """Say why the slot is passed over, and mark it bad. Returns why the disk cannot be written, or an empty text.

    A slot that has proved itself stays proven where the fault may not be its own (a module that is missing in the initramfs,
    memory that ran out): such a fault meets every slot, and must not take the last one that is known to boot.
    """
    partition, why = selection.table.partition(selection.number), reason_of(error)
    own_fault = isinstance(error, UnusableSlotError) and not isinstance(error, InitramfsError)
    if partition.attributes.successful and not own_fault:
        log.say(f"slot {partition.label} is passed over in this boot and the next one is taken: {why}", ERROR)
        return unwritable
    log.say(f"slot {partition.label} is marked bad and the next one is taken: {why}", ERROR)
    return unwritable or _mark_bad(disk, selection, log)


def _load_kernel(decision: Decision, config: BootConfig) -> None:
    """Load the slot's own kernel where that is asked for. Raises UnusableSlotError."""
    if config.hand_over == KEXEC:
        from bootselect.initramfs import kexec

        kexec.load(SLOT_ROOT, kexec.command_line(SLOT_ROOT, decision.partuuid, decision.label, read_cmdline()))


def _start_watchdog(decision: Decision, config: BootConfig, log: Log) -> Decision:
    """Arm the watchdog where that is asked for; the decision says so."""
    if not config.watchdog:
        return decision
    try:
        from bootselect.watchdog import arm_watchdog

        which = arm_watchdog(config.watchdog)
    except Exception as error:  # noqa: BLE001  (a machine without its watchdog is better than one that does not boot)
        log.say(reason_of(error), ERROR)
        return decision
    log.say(f"the watchdog ({which}) resets this machine unless the slot takes it over within {config.watchdog} s")
    return decision._replace(watchdog=config.watchdog)


def _leave(decision: Decision, log: Log) -> None:
    try:
        leave_decision(decision)
    except OSError as error:
        log.say(f"{DECISION_PATH} cannot be left for the running system: {reason_of(error)}", ERROR)


def _start_kernel(decision: Decision, config: BootConfig, log: Log) -> None:
    """Start the slot's own kernel where one was loaded; otherwise ``/init`` does a switch_root."""
    if config.hand_over == KEXEC:
        from bootselect.initramfs import kexec

        log.say(f"starting the kernel of slot {decision.label}")
        log.drain()
        kexec.start()


def _report(disk: Disk, config: BootConfig, log: Log) -> None:
    state = disk.read()
    for finding in state.findings:
        if finding.severity != "note":
            log.say(str(finding), WARNING)
    if state.table is not None:
        slots = slots_of(state.table, config.slot_type)
        log.say(f"slots (priority/tries/successful): {describe(state.table, slots)}; policy {config.policy.name}")


def _mount(
    disk: Disk, decision: Decision, table: Table, config: BootConfig, run: Run, ready: Callable[[System], None]
) -> None:
    # A kernel without "gpt" on its command line shows no partitions while the primary is damaged.
    if not os.path.exists(decision.device):
        disk.tell_kernel(table)
    if config.verity == OFF:
        mount_slot(decision.device, config.fstype, run, ready=ready)
        return
    from bootselect.initramfs import verity

    device = verity.verified(decision.device, required=config.verity == REQUIRED, proven=bool(decision.successful))
    try:
        mount_slot(device, config.fstype, run, ready=ready)
    except BaseException:
        verity.close_verity()
        raise


def _mark_bad(disk: Disk, selection: Selection, log: Log) -> str:
    try:
        from bootselect.verbs import mark_bad

        disk.write(mark_bad(selection.table, selection.number))
    except Exception as error:  # noqa: BLE001  (the next slot is taken all the same)
        log.say(f"partition {selection.number} could not be marked bad: {reason_of(error)}", ERROR)
        return reason_of(error)
    return ""


def decide(path: str, selection: Selection, policy: Policy) -> Decision:
    """The decision as the running system will read it."""
    partition = selection.table.partition(selection.number)
    attributes = partition.attributes
    return Decision(
        disk=path,
        partition=selection.number,
        # From the name that the kernel gave the disk: it may not show the partition yet.
        device=partition_name(path, selection.number),
        label=partition.label,
        partuuid=partition.unique_guid.text,
        policy=policy.name,
        priority=attributes.priority,
        tries=attributes.tries,
        successful=int(attributes.successful),
        reason=selection.reason,
        problem=selection.problem,
    )


def leave_decision(decision: Decision, folder: str = FOLDER) -> None:
    """Leave the decision for the running system, for programs and for shells; ``/run`` moves into the slot."""
    os.makedirs(folder, exist_ok=True)
    for name, text in ((JSON_NAME, decision.to_json()), (SHELL_NAME, decision.to_shell())):
        with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
            file.write(text)
