"""Every world that an update can come into, through kills, power cuts, lost writes and a damaged state between any two steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bootselect.policy import CHROMEOS, GPTPRIO, Policy
from bootselect.simulation import DIES, GOOD, UNHEALTHY, UNUSABLE
from tests.update_agent.state.life import NEW, SECOND, VERSION, Rules, World, faults, starts, step
from update_agent.state.transitions import State

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = 80
"""Steps without a fault until the machine is idle for good; each boot is one."""


def arms(before: World, after: World) -> bool:
    return after.second.tries > before.second.tries


def explore(rules: Rules, *, wiped: bool) -> set[World]:
    """All worlds that can be reached; each step on the way is judged."""
    seen = set(starts())
    todo = list(seen)
    while todo:
        world = todo.pop()
        following = step(world, rules)
        if arms(world, following):
            assert not world.machine.known_bad(VERSION), f"armed although it is known to be bad: {world}"
            if not wiped and rules.policy == GPTPRIO:
                assert not world.given_up, f"armed again after it had used up its tries: {world}"
        for other in (following, *faults(world, rules, wiped=wiped)):
            if other not in seen:
                seen.add(other)
                todo.append(other)
    return seen


def ends(world: World, rules: Rules) -> World:
    """The world that comes back to idle for ever, when nothing comes between any more."""
    path: dict[World, None] = {}
    while world not in path:
        path[world] = None
        world = step(world, rules)
        assert len(path) < LONGEST, f"does not come to rest: {world}"
    circle = list(path)[list(path).index(world) :]
    assert any(one.machine.state is State.IDLE for one in circle), f"goes round without an idle moment: {circle}"
    assert {one.machine.state for one in circle} <= {State.IDLE, State.CHECKING}, f"goes round in {circle}"
    return circle[0]


@pytest.mark.slow
@pytest.mark.parametrize("policy", [GPTPRIO, CHROMEOS], ids=["gptprio", "chromeos"])
@pytest.mark.parametrize("update", [GOOD, DIES, UNHEALTHY, UNUSABLE])
@pytest.mark.parametrize("wiped", [False, True], ids=["state kept or damaged", "state wiped"])
def test_from_everywhere_idle_is_reached_and_a_version_that_was_rolled_back_is_not_tried_again(
    policy: Policy, update: str, wiped: bool, record_property: Callable[[str, object], None]
) -> None:
    rules = Rules(policy, update)
    worlds = explore(rules, wiped=wiped)
    never = {GOOD: set(), UNHEALTHY: {State.GOOD}}.get(update, {State.GOOD, State.PROVING})
    assert {world.machine.state for world in worlds} == set(State) - never
    good = 0
    for world in worlds:
        last = ends(world, rules)
        if last.running == SECOND and last.content == NEW:
            assert update == GOOD
            assert last.second.successful
            good += 1
        else:
            assert last.machine.known_bad(VERSION)
            running = last.first if last.running != SECOND else last.second
            assert running.successful
    assert (good > 0) == (update == GOOD)
    record_property("counted", f"{policy.name}, the update is {update}: {len(worlds)} worlds")
