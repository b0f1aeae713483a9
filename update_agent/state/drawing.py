"""Draws the states, and makes the tables of docs/update-states.md, from the one table of transitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from update_agent.state.transitions import FINDINGS, MEANINGS, STEPS, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from update_agent.state.transitions import Transition

_S = State
_HEADS = (("What the agent does", STEPS), ("What it finds when it starts", FINDINGS))
_GROUPS = {
    "nothing is on trial": (_S.IDLE, _S.CHECKING, _S.AVAILABLE),
    "the slot is written": (_S.DOWNLOADING, _S.VERIFYING, _S.INSTALLING),
    "the slot is the next one": (_S.ARMED, _S.WAITING, _S.REBOOTING),
}
"""States that stand in one box: an arrow from the box is one from each of them."""


def draw() -> str:
    """The graph as a flow chart of Mermaid: what the agent does, and dotted what it finds when it starts."""
    lines = ["flowchart TD"]
    for number, (title, states) in enumerate(_GROUPS.items()):
        lines += [f'    subgraph box{number}["{title}"]', *(f"        {_node(state)}" for state in states), "    end"]
    grouped = {state for states in _GROUPS.values() for state in states}
    lines += [f"    {_node(state)}" for state in State if state not in grouped]
    for arrow, rows in (("-->", STEPS), ("-.->", FINDINGS)):
        edges: dict[tuple[str, str], list[str]] = {}
        for before, what, after in _edges(rows):
            edges.setdefault((before, after), []).append(what)
        lines += [f"    {before} {arrow}|{', '.join(whats)}| {after}" for (before, after), whats in edges.items()]
    return "\n".join(lines) + "\n"


def _edges(rows: Iterable[Transition]) -> Iterator[tuple[str, str, str]]:
    """From, what, to: where a whole group goes the same way out of its box, once for the box."""
    found: dict[tuple[str, State], list[State]] = {}
    for row in rows:
        found.setdefault((row.what, row.after), []).append(row.before)
    for (what, after), states in found.items():
        left = list(states)
        for number, group in enumerate(_GROUPS.values()):
            if after not in group and set(group) <= set(left):
                left = [state for state in left if state not in group]
                yield f"box{number}", what, _name(after)
        for state in left:
            yield _name(state), what, _name(after)


def render() -> str:
    """All that is generated of the page."""
    states = _table(("state", "what it means"), ((f"`{state}`", MEANINGS[state]) for state in State))
    parts = [f"```mermaid\n{draw()}```\n", states]
    for head, rows in _HEADS:
        table = _table(("in the state", "what happens", "goes on as", "meaning"), _merged(rows))
        parts.append(f"### {head}\n\n{table}")
    return "\n".join(parts)


def _merged(rows: Iterable[Transition]) -> list[tuple[str, ...]]:
    """One line for all states in which the same thing has the same meaning."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        found.setdefault((row.what, row.after, row.meaning), []).append(f"`{row.before}`")
    return [(", ".join(states), f"`{what}`", f"`{after}`", meaning) for (what, after, meaning), states in found.items()]


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _node(state: State) -> str:
    return f"{_name(state)}([{state}])"


def _name(state: State) -> str:
    return state.replace("-", "_")
