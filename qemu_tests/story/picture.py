"""``script/picture``: the picture of the report in the README, of a demo that has run."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from qemu_tests.errors import LabError
from qemu_tests.story.browser import Browser

PAGE, PICTURE = Path("out/demo/report.html"), Path("docs/report.png")
WIDTH, SCALE = 1100, 1.25
_LIMIT = 200 << 10
_END = "document.querySelector('.picture').getBoundingClientRect().bottom + scrollY + 12"


@click.command()
@click.option("--page", type=click.Path(path_type=Path), default=PAGE, show_default=True, help="The report.")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=PICTURE, show_default=True, help="The PNG.")
def main(page: Path, output: Path) -> None:
    """Draw the top of a report, down to the end of its time line, as a PNG."""
    try:
        picture = draw(page)
    except LabError as error:
        sys.exit(f"picture: {error.line}")
    if len(picture) > _LIMIT:
        sys.exit(f"picture: {output}: it would have {len(picture)} bytes, more than {_LIMIT}; nothing was written")
    output.write_bytes(picture)
    click.echo(f"{output}: {len(picture)} bytes")


def draw(page: Path) -> bytes:
    """The PNG. Raises MissingToolError and BrowserError."""
    if not page.is_file():
        raise LabError(f"{page}: there is no report; run script/demo first")
    with Browser() as browser:
        browser.size(WIDTH, 800, scale=SCALE)
        browser.colours("light")
        browser.open(page)
        browser.settle()
        return browser.picture(height=float(browser.evaluate(_END)))


if __name__ == "__main__":
    main()
