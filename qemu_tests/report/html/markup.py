"""Building HTML and SVG so that no text becomes markup: whatever is not ``Markup`` already is made plain and escaped."""

from __future__ import annotations

from html import escape

from qemu_tests.report.text import plain, plain_lines

VOID = frozenset({"br", "col", "img", "input", "link", "meta"})


class Markup(str):
    """Finished markup."""

    __slots__ = ()


def _text(text: str) -> str:
    return text if isinstance(text, Markup) else escape(plain(text))


def join(*parts: str) -> Markup:
    """One after the other."""
    return Markup("".join(_text(part) for part in parts))


def tag(name: str, /, *children: str, **attributes: str | float | bool | None) -> Markup:
    """An element. Of an attribute's name a trailing underscore goes and others become hyphens; None and False leave it out."""
    words = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        attribute = key.rstrip("_").replace("_", "-")
        words.append(attribute if value is True else f'{attribute}="{escape(plain(str(value)))}"')
    opening = f"<{' '.join(words)}>"
    return Markup(opening) if name in VOID else Markup(f"{opening}{join(*children)}</{name}>")


def lines(text: str) -> Markup:
    """Text of many lines, for ``pre``."""
    return Markup(escape("\n".join(plain_lines(text))))


ICONS = {
    "healthy": '<circle cx="8" cy="8" r="7" class="s"/><path d="M4.5 8.3l2.4 2.4 4.6-5" class="k"/>',
    "failed": '<path d="M5 1h6l4 4v6l-4 4H5l-4-4V5z" class="s"/><path d="M5.2 5.2l5.6 5.6M10.8 5.2l-5.6 5.6" class="k"/>',
    "unknown": '<circle cx="8" cy="8" r="6.3" class="o" stroke-dasharray="2.4 1.9"/><circle cx="8" cy="8" r="1.6" class="s"/>',
    "cut": '<path d="M9.5 0.5L2.5 9h4l-1 6.5L13 6.5H8.6z" class="s"/>',
    "fault": '<path d="M8 15L0.8 2h14.4z" class="s"/><path d="M8 5v4.2M8 11v.8" class="k"/>',
    "change": '<path d="M8 1.5L14.5 8 8 14.5 1.5 8z" class="s"/>',
}
"""Shapes of 16 by 16: ``s`` is filled, ``k`` is a line on top, ``o`` an outline. No two have the same silhouette."""


def icon(name: str, words: str = "") -> Markup:
    """A shape, with words for those who do not see it, or none where words stand beside it."""
    return tag(
        "svg",
        tag("use", href=f"#{name}"),
        class_=f"icon {name}",
        viewBox="0 0 16 16",
        role="img" if words else None,
        aria_label=words or None,
        aria_hidden=None if words else "true",
    )


def definitions() -> Markup:
    """The shapes and fill patterns that the page refers to; invisible itself."""
    shapes = "".join(f'<symbol id="{name}" viewBox="0 0 16 16">{shape}</symbol>' for name, shape in ICONS.items())
    patterns = (
        '<pattern id="starting" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<rect width="6" height="6" class="p-ground"/><rect width="2" height="6" class="p-healthy"/></pattern>'
        '<pattern id="crossed" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<rect width="7" height="7" class="p-ground"/><path d="M0 0H7M0 0V7" class="p-failed"/></pattern>'
        '<pattern id="dotted" width="6" height="6" patternUnits="userSpaceOnUse">'
        '<rect width="6" height="6" class="p-ground"/><circle cx="3" cy="3" r="1.1" class="p-unknown"/></pattern>'
    )
    return Markup(
        f'<svg class="definitions" width="0" height="0" aria-hidden="true"><defs>{shapes}{patterns}</defs></svg>'
    )
