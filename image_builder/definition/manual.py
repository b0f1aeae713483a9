"""Writes the tables of docs/images.md: every key of a definition, as the code that reads definitions asks for it.

    python -m image_builder.definition.manual

Tables stand between two comments, ``<!-- keys: ... -->`` and ``<!-- end -->``; the rest of the page is written by hand.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from image_builder.content.esp import Esp
from image_builder.content.kinds import read_contents
from image_builder.content.slot import Slot
from image_builder.content.state import State
from image_builder.content.systems import SYSTEMS
from image_builder.definition.load import read_boot, read_image
from image_builder.definition.partition import read_partitions
from image_builder.definition.section import Asked, Mistakes, Section
from image_builder.definition.texts import SECTIONS, TEXTS, Text
from image_builder.filesystem.kinds import FILESYSTEMS
from image_builder.output.kinds import OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = Path(__file__).parents[2] / "docs/images.md"
_NAME = "NAME"
_COMMON = f"slot.{_NAME}"


class ManualError(Exception):
    """Keys and texts do not belong together; the message names both."""


def asked_keys() -> dict[str, dict[str, Asked]]:
    """Section -> key -> how it is read: what the functions that read definitions ask of empty sections.

    The keys of a kind of slot are in a section of their own, such as ``slot.NAME, kind tar``.
    """
    mistakes = Mistakes(Path("definition.toml"), {})

    def section(name: str, **fields: object) -> Section:
        return Section(mistakes, name, fields)

    named: dict[str, object] = {"slot": {_NAME: {}}, "state": {_NAME: {}}}
    contents = read_contents(section("", **named))
    image, boot, esp, state = section("image"), section("boot"), section("esp"), section(f"state.{_NAME}")
    read_image(image)
    read_boot(boot, contents.values())
    Esp.read(esp)
    State.read(state, _NAME)
    partition = section("partition[1]")
    read_partitions([partition], contents, sector_size=512, seed="")
    found = {"image": image.asked, "boot": boot.asked, "esp": esp.asked, _COMMON: {}}
    for kind, system in SYSTEMS.items():
        own, whole = section(_COMMON), section(_COMMON, kind=kind)
        system.read(own)
        Slot.read(whole, _NAME)
        found[f"{_COMMON}, kind {kind}"] = own.asked
        found[_COMMON] |= {key: asked for key, asked in whole.asked.items() if key not in own.asked}
    return {**found, state.name: state.asked, "partition": partition.asked}


def render() -> str:
    """The tables. Raises ManualError for a section or key without a text, and for a text without one."""
    keys = asked_keys()
    _same("sections", keys, SECTIONS)
    _same("sections with keys", keys, TEXTS)
    parts = []
    for name, about in SECTIONS.items():
        _same(f"keys of [{name}]", keys[name], TEXTS[name])
        rows = (_row(f"{name}.{key}", key, keys[name][key], text) for key, text in TEXTS[name].items())
        head = ("key", "value", "default", "what it does")
        parts.append(f"### {_heading(name)}\n\n{about}\n\n{_table(head, rows)}")
    return "\n".join([*parts, _filesystems(), _outputs()])


def _same(what: str, found: Iterable[str], told: Iterable[str]) -> None:
    untold, unknown = set(found) - set(told), set(told) - set(found)
    if untold or unknown:
        raise ManualError(f"{what}: without a text {sorted(untold)}, text without one {sorted(unknown)}")


def _heading(name: str) -> str:
    name, _, kind = name.partition(", ")
    brackets = f"[[{name}]]" if name == "partition" else f"[{name}]"
    return f"{brackets}, {kind.replace(' ', ' = ')}" if kind else brackets


def _row(place: str, key: str, asked: Asked, text: Text) -> tuple[str, ...]:
    if asked.required:
        default = "required"
    elif text.default:
        default = text.default
    else:
        default = _value(place, asked.default)
    return f"`{key}`", text.value or _coded(asked.expected), default, text.about


def _value(place: str, value: object) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str) and value:
        return f'`"{value}"`'
    if isinstance(value, int):
        return f"`{value}`" if value < 1 << 20 else f'`"{value >> 20}M"`'
    if isinstance(value, tuple) and value and all(isinstance(item, str) for item in value):
        return "`[{}]`".format(", ".join(f'"{item}"' for item in value))
    raise ManualError(f"{place}: its default is {value!r}; expected a text that says what that means")


def _coded(expected: str) -> str:
    """What a message says, with its quoted words as they stand in a TOML file."""
    return re.sub(r"""'([^']*)'|"([^"]*)\"""", lambda found: f'`"{found[1] or found[2]}"`', expected)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _filesystems() -> str:
    rows = (
        (
            f"`{kind.name}`",
            ", ".join(f"`{name}`" for name in kind.compressions),
            f"`{kind.default_compression}`",
            ", ".join(f"`{name}`" for name in kind.programs),
        )
        for kind in FILESYSTEMS.values()
    )
    return f"### File systems\n\n{_table(('filesystem', 'compression', 'default', 'programs'), rows)}"


def _outputs() -> str:
    rows = (
        (f"`{output.name}`", f"`NAME{output.ending}`", ", ".join(f"`{name}`" for name in output.tools), output.about)
        for output in OUTPUTS.values()
    )
    return f"### Outputs\n\n{_table(('output', 'file', 'programs', 'what it is'), rows)}"


def with_tables(page: str, tables: str) -> str:
    """The text of the page with other tables. Raises ManualError for a page without the two comments."""
    begin, end = re.search(r"<!-- keys: .* -->\n", page), page.find("<!-- end -->")
    if begin is None or end < begin.end():
        raise ManualError("the comments '<!-- keys: ... -->' and '<!-- end -->' are not both there")
    return f"{page[: begin.end()]}\n{tables}\n{page[end:]}"


def main() -> None:
    """Rewrite the tables of docs/images.md, in a checkout."""
    parser = argparse.ArgumentParser(
        prog="python -m image_builder.definition.manual", description="Rewrite the tables of docs/images.md."
    )
    parser.parse_args()
    try:
        PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), render()), encoding="utf-8")
    except OSError as error:
        sys.exit(f"{parser.prog}: {error.filename}: {error.strerror}; expected to write it")
    except ManualError as error:
        sys.exit(f"{parser.prog}: {error}")


if __name__ == "__main__":
    main()
