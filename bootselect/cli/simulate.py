"""``bootselect simulate``: what the next boots would do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from bootselect.cli.options import JSON, POLICY, TARGET, TYPE
from bootselect.click_support import TEXT, say
from bootselect.policy import Slot, choose
from bootselect.simulation import OUTCOMES, simulate
from bootselect.slot_disk import SlotDisk
from bootselect.slots import find_slot
from gptlib.disk import Disk
from gptlib.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bootselect.policy import Policy
    from bootselect.simulation import Boot
    from gptlib.table.attributes import Attributes
    from gptlib.table.guid import Guid
    from gptlib.table.table import Table


@click.command("simulate")
@TARGET
@TYPE
@POLICY
@click.option(
    "--outcome", "outcomes", type=TEXT, multiple=True, metavar="SLOT=OUTCOME", help=f"One of {', '.join(OUTCOMES)}."
)
@click.option(
    "--state", "states", type=TEXT, multiple=True, metavar="SLOT=P/T/S", help="Start from these attributes instead."
)
@JSON
def simulate_command(
    target: str | None,
    type_guid: Guid,
    policy: Policy,
    outcomes: tuple[str, ...],
    states: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show what the next boots would do; nothing is written.

    Without --outcome, one story is told for each thing that can become of the slot that boots next: it is marked good, it
    dies, its health checks fail, or the initramfs finds it unusable. Slots without an outcome are good.
    """
    found = SlotDisk.find(target, type_guid)
    with Disk.open(found.path) as disk:
        table = disk.table()
    given = _given(found, table, states)
    slots = [Slot(slot.number, given.get(slot.number, slot.attributes)) for slot in found.slots(table)]
    stories = [
        (story, list(simulate(policy, slots, story))) for story in _stories(found, table, slots, policy, outcomes)
    ]
    labels = _names(table, slots)
    if as_json:
        click.echo(json.dumps([_to_json(labels, *told) for told in stories], indent=2))
    else:
        for place, told in enumerate(stories):
            for line in [*([""] if place else []), *_to_text(labels, slots, *told)]:
                say(line)


def _stories(
    found: SlotDisk, table: Table, slots: Sequence[Slot], policy: Policy, outcomes: Iterable[str]
) -> list[dict[int, str]]:
    given = {}
    for text in outcomes:
        slot, _, outcome = text.rpartition("=")
        if outcome not in OUTCOMES:
            raise click.BadParameter(f"{text!r}: expected SLOT=OUTCOME with one of {', '.join(OUTCOMES)}")
        given[find_slot(found.path, table, found.slots(table), slot)] = outcome
    following = choose(policy, slots)
    if given or following is None:
        return [given]
    return [{following.number: outcome} for outcome in OUTCOMES]


def _given(found: SlotDisk, table: Table, states: Iterable[str]) -> dict[int, Attributes]:
    given = {}
    for text in states:
        slot, _, state = text.rpartition("=")
        fields = state.split("/")
        number = find_slot(found.path, table, found.slots(table), slot)
        if len(fields) != 3 or not all(field.isdigit() for field in fields) or fields[2] not in {"0", "1"}:
            raise click.BadParameter(f"{text!r}: expected SLOT=PRIORITY/TRIES/SUCCESSFUL, as USR-A=1/0/1")
        priority, tries, successful = map(int, fields)
        try:
            bits = table.partition(number).attributes
            given[number] = bits.with_slot(priority=priority, tries=tries, successful=bool(successful))
        except InvalidValueError as error:
            raise click.BadParameter(f"{text!r}: {error}") from error
    return given


def _names(table: Table, slots: Iterable[Slot]) -> dict[int, str]:
    """What to call each slot: its label, with its number where labels are not enough to tell them apart."""
    labels = {slot.number: table.partition(slot.number).label for slot in slots}
    if len(set(labels.values())) == len(labels):
        return labels
    return {number: f"{label} ({number})" for number, label in labels.items()}


def _pts(slots: Iterable[Slot], labels: Mapping[int, str]) -> dict[str, str]:
    return {labels[slot.number]: slot.attributes.short for slot in slots}


def _to_json(labels: Mapping[int, str], story: Mapping[int, str], boots: Sequence[Boot]) -> dict[str, object]:
    return {
        "outcomes": {labels[number]: outcome for number, outcome in story.items()},
        "boots": [
            {
                "slot": labels.get(boot.number),
                "reason": boot.reason,
                "outcome": boot.outcome,
                "slots": _pts(boot.slots, labels),
            }
            for boot in boots
        ],
    }


def _to_text(
    labels: Mapping[int, str], slots: Sequence[Slot], story: Mapping[int, str], boots: Sequence[Boot]
) -> list[str]:
    title = (
        ", ".join(f"{labels[number]} {_WORDS[outcome]}" for number, outcome in story.items()) or "every slot is good"
    )
    lines = [f"If {title}:", f"  now     {_states(slots, labels)}"]
    lines += [
        f"  {place:<6}  {_states(boot.slots, labels)}  {labels.get(boot.number, '-')}: {_WORDS.get(boot.outcome, '')}"
        f" ({boot.reason})"
        for place, boot in enumerate(boots, 1)
    ]
    return lines


_WORDS = {
    "good": "boots and is marked good",
    "dies": "boots and dies",
    "unhealthy": "boots and fails its health checks",
    "unusable": "is found unusable by the initramfs",
    "": "nothing boots",
}


def _states(slots: Iterable[Slot], labels: Mapping[int, str]) -> str:
    return "  ".join(f"{label} {state}" for label, state in _pts(slots, labels).items())
