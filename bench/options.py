"""The command line of the measurements."""

from __future__ import annotations

import argparse


def wants_json(name: str, what: str) -> bool:
    """Parse the command line of ``python -m bench.NAME``: whether the result shall be JSON. Exits for --help and for mistakes."""
    parser = argparse.ArgumentParser(prog=f"python -m bench.{name}", description=what)
    parser.add_argument("--json", action="store_true", help="for scripts: one JSON object")
    return bool(parser.parse_args().json)
