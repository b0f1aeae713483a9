"""Compiles modules to .pyc files that depend on nothing but their source and the interpreter.

Reads a JSON list of [source file, .pyc to write, path that tracebacks show, optimization level] from standard input.
The .pyc files are of the unchecked-hash kind (PEP 552): no time stamp, and no look at a source when they are loaded.
"""

import importlib.util
import json
import marshal
import sys
from pathlib import Path

UNCHECKED_HASH = (1).to_bytes(4, "little")


def main() -> None:
    """Entry point."""
    for source, target, shown, level in json.load(sys.stdin):
        text = Path(source).read_bytes()
        code = compile(text, shown, "exec", dont_inherit=True, optimize=level)
        header = importlib.util.MAGIC_NUMBER + UNCHECKED_HASH + importlib.util.source_hash(text)
        Path(target).write_bytes(header + marshal.dumps(code))


if __name__ == "__main__":
    main()
