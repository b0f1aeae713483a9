"""The selector: called once by ``/init`` of the initramfs, it leaves the chosen slot mounted read-only on ``/slot``.

Exit codes: 0 a slot is mounted; 3 nothing is bootable; 1 anything else. What happens then is up to ``/init``.
"""

from __future__ import annotations

import os
import sys

from bootselect.decision import DECISION_PATH, Decision
from bootselect.errors import BootselectError, NothingBootableError
from bootselect.initramfs.config import KEXEC, OFF, REQUIRED, BootConfig, load_config, read_cmdline
from bootselect.initramfs.disks import find_disk, kernel_events, loader_partuuid, scan
from bootselect.initramfs.log import ERROR, WARNING, Log
from bootselect.initramfs.mount import SLOT_ROOT, UnusableSlotError, mount_slot, run_program
from bootselect.initramfs.watchdog import WatchdogError, arm_watchdog
from bootselect.selection import Selection, describe, open_for_selection, select, take
from bootselect.slots import slots_of
from bootselect.verbs import mark_bad
from gptlib.errors import GptError
from gptlib.kernel import KernelError
from gptlib.nodes import partition_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bootselect.initramfs.mount import Run, System
    from gptlib.disk import Disk
    from gptlib.table import Table

LOCK_DEADLINE = 10.0
"""Seconds to wait for another writer; at boot that can only be a probe of udev's kind."""


def main() -> None:
    """Select and mount a slot; exits the process."""
    log = Log()
    try:
        config = load_config()
        for problem in config.problems:
            log.say(f"ignored: {problem}", WARNING)
        choice = find_disk(config, loader_partuuid(), look=lambda: scan(config.slot_type), events=kernel_events)
        log.say(f"disk {choice.path}: {choice.reason}")
        decision = boot_disk(choice.path, config, log, run_program)
        leave_decision(_start_watchdog(decision, config, log))
        _start_kernel(decision, config, log)
    except NothingBootableError as error:
        log.say(str(error), ERROR)
        sys.exit(3)
    except (BootselectError, GptError) as error:
        log.say(str(error), ERROR)
        sys.exit(1)


def boot_disk(path: str, config: BootConfig, log: Log, run: Run) -> Decision:
    """Select slots of the disk until one can be mounted; those that cannot are marked bad in the same boot.

    Raises NothingBootableError when none is left, and what ``bootselect.selection.select`` raises.
    """
    disk, unwritable = open_for_selection(path, lock_deadline=LOCK_DEADLINE)
    with disk:
        _report(disk, config, log)
        unusable: set[int] = set()
        chosen = take(disk, config.slot_type, config.chosen)
        while True:
            selection = chosen or select(
                disk, config.policy, config.slot_type, unwritable=unwritable, excluded=unusable
            )
            chosen = None
            if selection.problem:
                log.say(f"nothing was written: {selection.problem}", ERROR)
            decision = decide(path, selection, config.policy)
            try:
                system = _mount(disk, decision, selection.table, config, run)
            except (UnusableSlotError, KernelError) as error:
                log.say(f"slot {decision.label} is marked bad and the next one is taken: {error}", ERROR)
                unusable.add(selection.number)
                unwritable = unwritable or _mark_bad(disk, selection, log)
                continue
            attributes = f"{decision.priority}/{decision.tries}/{decision.successful}"
            log.say(
                f"booting slot {decision.label} (partition {decision.partition}, version {system.version}), now {attributes}"
            )
            log.say(f"reason: {decision.reason}")
            return decision


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
        which = arm_watchdog(config.watchdog)
    except WatchdogError as error:
        log.say(str(error), ERROR)
        return decision
    log.say(f"the watchdog ({which}) resets this machine unless the slot takes it over within {config.watchdog} s")
    return decision._replace(watchdog=config.watchdog)


def _start_kernel(decision: Decision, config: BootConfig, log: Log) -> None:
    """Start the slot's own kernel where one was loaded; otherwise ``/init`` does a switch_root."""
    if config.hand_over == KEXEC:
        from bootselect.initramfs import kexec

        log.say(f"starting the kernel of slot {decision.label}")
        kexec.start()


def _report(disk: Disk, config: BootConfig, log: Log) -> None:
    state = disk.read()
    for finding in state.findings:
        if finding.severity != "note":
            log.say(str(finding), WARNING)
    if state.table is not None:
        slots = slots_of(state.table, config.slot_type)
        log.say(f"slots (priority/tries/successful): {describe(state.table, slots)}; policy {config.policy}")


def _mount(disk: Disk, decision: Decision, table: Table, config: BootConfig, run: Run) -> System:
    # A kernel without "gpt" on its command line shows no partitions while the primary is damaged.
    if not os.path.exists(decision.device):
        disk.tell_kernel(table)

    def ready() -> None:
        _load_kernel(decision, config)

    if config.verity == OFF:
        return mount_slot(decision.device, config.fstype, run, ready=ready)
    from bootselect.initramfs import verity

    device = verity.verified(decision.device, required=config.verity == REQUIRED, proven=bool(decision.successful))
    try:
        return mount_slot(device, config.fstype, run, ready=ready)
    except UnusableSlotError:
        verity.close_verity()
        raise


def _mark_bad(disk: Disk, selection: Selection, log: Log) -> str:
    try:
        disk.write(mark_bad(selection.table, selection.number))
    except GptError as error:
        log.say(f"partition {selection.number} could not be marked bad: {error}", ERROR)
        return str(error)
    return ""


def decide(path: str, selection: Selection, policy: str) -> Decision:
    """The decision as the running system will read it."""
    partition = selection.table.partition(selection.number)
    attributes = partition.attributes
    return Decision(
        disk=path,
        partition=selection.number,
        device=partition_node(path, selection.number),
        label=partition.label,
        partuuid=partition.unique_guid.text,
        policy=policy,
        priority=attributes.priority,
        tries=attributes.tries,
        successful=int(attributes.successful),
        reason=selection.reason,
        problem=selection.problem,
    )


def partition_node(disk: str, index: int) -> str:
    """The node of a partition: ``/dev/sda3``, or ``/dev/nvme0n1p3`` after a name that ends in a digit.

    From the name that the kernel gave the disk (see ``disks.scan``): the kernel may not show the partition yet.
    """
    return partition_name(disk, index)


def leave_decision(decision: Decision, path: str = DECISION_PATH) -> None:
    """Leave the decision for the running system; ``/run`` moves into the slot."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        file.write(decision.to_json())
