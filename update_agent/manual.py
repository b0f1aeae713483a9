"""Writes what is generated of docs/update-states.md and docs/update-settings.md: from the table of transitions, and that of the settings.

    python -m update_agent.manual

It stands between two comments, ``<!-- generated ... -->`` and ``<!-- end -->``; the rest of each page is written by hand.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from update_agent.config.listing import render as render_settings
from update_agent.state.drawing import render as render_states

DOCS = Path(__file__).parents[1] / "docs"
PAGES = {"update-states.md": render_states, "update-settings.md": render_settings}
"""Page -> what makes its generated part."""


class ManualError(Exception):
    """A page has no place for what is generated. It was not written."""


def with_generated(page: str, text: str) -> str:
    """The page with this in its generated part. Raises ManualError for a page without the two comments."""
    begin, end = re.search(r"<!-- generated .* -->\n", page), page.find("<!-- end -->")
    if begin is None or end < begin.end():
        raise ManualError("the comments '<!-- generated ... -->' and '<!-- end -->' are not both there")
    return f"{page[: begin.end()]}\n{text}\n{page[end:]}"


def main() -> None:
    """Rewrite the generated parts, in a checkout."""
    description = f"Rewrite the generated parts of {' and '.join(f'docs/{name}' for name in PAGES)}."
    parser = argparse.ArgumentParser(prog="python -m update_agent.manual", description=description)
    parser.parse_args()
    try:
        for name, render in PAGES.items():
            page = DOCS / name
            page.write_text(with_generated(page.read_text(encoding="utf-8"), render()), encoding="utf-8")
    except OSError as error:
        sys.exit(f"{parser.prog}: {error.filename}: {error.strerror}; expected to write it")
    except ManualError as error:
        sys.exit(f"{parser.prog}: {error}")


if __name__ == "__main__":
    main()
