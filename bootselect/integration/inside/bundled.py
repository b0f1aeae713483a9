"""Compiles modules into a bundle, as ``importer`` reads it.

Reads from standard input a JSON list of: the bundle to write, the optimization level, and a list of the modules: [name, whether it is a
package, source file, path that tracebacks show].
"""

import json
import marshal
import sys
from pathlib import Path


def main() -> None:
    """Entry point."""
    target, level, modules = json.load(sys.stdin)
    content = {
        name: (package, compile(Path(source).read_bytes(), shown, "exec", dont_inherit=True, optimize=level))
        for name, package, source, shown in modules
    }
    Path(target).write_bytes(marshal.dumps(content))


if __name__ == "__main__":
    main()
