"""What the documents say, taken apart for tests."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@dataclass(frozen=True)
class Step:
    """A command of a console block with what it prints, if that is shown. ``by_root``: after ``#`` instead of ``$``."""

    command: str
    output: str
    by_root: bool

    def __str__(self) -> str:
        return self.command

    @property
    def words(self) -> list[str]:
        """Program and arguments, without the comment that some have behind them."""
        return re.sub(r"\s+#.*", "", self.command.replace("\\\n", " ")).split()


def blocks(document: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)


def steps(document: Path) -> list[Step]:
    """All commands of the document's console blocks, in their order; a line that ends with a backslash goes on in the next one."""
    found = []
    for block in blocks(document, "console"):
        for text in re.split(r"^(?=[$] )" if block.startswith("$") else r"^(?=# )", block, flags=re.MULTILINE):
            lines = text.split("\n")
            length = 1 + sum(1 for _ in takewhile(lambda line: line.endswith("\\"), lines))
            command, output = "\n".join(lines[:length]), "\n".join(lines[length:])
            if command:
                found.append(Step(command[2:], output, by_root=command.startswith("#")))
    return found


def table(document: Path, heading: str) -> list[list[str]]:
    """The cells of the table under a heading, row by row, without its head."""
    section = document.read_text().partition(f"\n{heading}\n")[2]
    rows = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert rows is not None, heading
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[0].splitlines()[2:]]


def links(document: Path) -> list[str]:
    """Targets of the document's links, pictures included; blocks of code hold none."""
    text = re.sub(r"^```.*?^```$", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", text))


def anchors(document: Path) -> set[str]:
    """The names that GitHub gives to the headings of a document."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
