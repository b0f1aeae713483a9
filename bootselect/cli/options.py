"""Arguments and options that the commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bootselect.click_support import TEXT
from bootselect.policy import DEFAULT_POLICY, POLICIES
from bootselect.slots import DEFAULT_TYPE, SLOT_TYPES, slot_type
from gptlib.errors import InvalidValueError

if TYPE_CHECKING:
    from bootselect.policy import Policy
    from gptlib.table.guid import Guid


def _slot_type(ctx: click.Context, param: click.Parameter, value: str) -> Guid:
    try:
        return slot_type(value)
    except InvalidValueError:
        known = ", ".join(SLOT_TYPES)
        raise click.BadParameter(
            f"{value!r} is not a slot type; expected a GUID or one of {known}", ctx, param
        ) from None


def _policy(ctx: click.Context, param: click.Parameter, value: str) -> Policy:  # noqa: ARG001  (click's own signature)
    return POLICIES[value]


TARGET = click.argument("target", required=False)
TYPE = click.option(
    "--type", "type_guid", callback=_slot_type, default=DEFAULT_TYPE, show_default=True, help="Slot type."
)


SLOT = click.option("--slot", type=TEXT, metavar="TEXT", help="The slot: partition number, label or UUID.")
POLICY = click.option(
    "--policy",
    type=click.Choice(tuple(POLICIES)),
    callback=_policy,
    default=DEFAULT_POLICY.name,
    show_default=True,
    help="Policy.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="For scripts: JSON.")
