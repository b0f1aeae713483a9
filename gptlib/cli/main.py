"""The entry point of ``gptctl``: finds the command, runs it, and turns errors into exit codes."""

from __future__ import annotations

import os
import sys

from gptlib._files import open_file
from gptlib.cli.common import complain
from gptlib.cli.options import HELP, Option, UsageError, help_text, parse
from gptlib.errors import GptError, InvalidValueError, TableError, TargetError
from gptlib.linux.resolve import resolve_target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gptlib.cli.options import Command, Parsed

DONE, FAILED = 0, 1
PROGRAM = "gptctl"

COMMANDS = {
    "create": "Create or reset GPT headers and tables",
    "add": "Add, edit or remove a partition entry",
    "show": "Show partition table and entries",
    "repair": "Repair damaged GPT headers and tables",
    "boot": "Edit the PMBR sector for legacy BIOSes",
    "next": "Select the next CoreOS root to boot and count the try",
    "find": "Locate a partition by its GUID",
    "edit": "Edit a drive entry",
    "prioritize": "Reorder the priority of all slots",
    "legacy": "Switch between GPT and Legacy GPT",
    "resize": "Grow a partition into the free space behind it",
}
"""The commands of both cgpt: they are preferred where an abbreviation is ambiguous, and exit as cgpt does."""
OWN_COMMANDS = {
    "verify": "Report everything that is wrong with a table",
    "diff": "Compare the tables of two disks",
    "dump": "Write a table as text",
    "restore": "Make a dumped table the table of a disk",
}
_EXTERNAL = Option("D", "NUM", "")
"""vboot's cgpt can keep the table of a disk in a NOR flash chip; scripts give ``-D 0`` where they do not mean that."""
_ABOUT = """Exit codes: 0 done, 1 refused or failed, or wrong usage; in the other commands wrong usage is 2.
Every refusal is one line and leaves the disk as it was. The manual is gptctl(1)."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``gptctl`` with the given words (by default those of the process) and return its exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    _replace_closed_streams()
    try:
        code = _main(words)
        sys.stdout.flush()
    except OSError as error:
        # The reader of our output has gone (head, grep -q), or its disk is full: the interpreter must not try again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if not isinstance(error, BrokenPipeError):
            complain(f"ERROR: {error}")
        return FAILED
    except KeyboardInterrupt:
        return 130
    return code


def _replace_closed_streams() -> None:
    # Whoever closes our output (>&-) does not want to see it. A file that is opened next must not get its descriptor either.
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open_file(os.devnull, "w", encoding="utf-8"))


def _main(words: Sequence[str]) -> int:
    if not words:
        print(_overview(), file=sys.stderr)
        return FAILED
    if words[0] in {"-h", "--help", "help"}:
        print(_overview())
        return DONE
    if words[0] == "--version":
        print(_version())
        return DONE
    name = _find(words[0])
    if name is None:
        complain(f"ERROR: no command {words[0]!r}; {PROGRAM} --help lists them")
        return FAILED
    return _run(_load(name), words[1:])


def _find(word: str) -> str | None:
    """The command of this name, or the only one that starts with it."""
    for commands in (COMMANDS, OWN_COMMANDS):
        found = [name for name in commands if name.startswith(word)]
        if word in found:
            return word
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _load(name: str) -> Command:
    # importlib is a package that is not loaded at start; __import__ is what it stands on.
    command: Command = __import__(f"gptlib.cli.{name}", fromlist=["COMMAND"]).COMMAND
    return command


def _run(command: Command, words: Sequence[str]) -> int:
    parsed = None
    try:
        parsed = parse((*command.options, HELP, _EXTERNAL), words)
        if parsed.has("h"):
            print(help_text(PROGRAM, command))
            return DONE
        if parsed.number("D"):
            raise UsageError("-D is not supported: the table and the partitions must be on the same drive")
        return command.run(parsed)
    except UsageError as error:
        complain(f"ERROR: {error}; see {PROGRAM} {command.name} --help")
        return command.usage_exit
    except (TableError, InvalidValueError) as error:
        complain(f"ERROR: {_with_drive(str(error), parsed)}")
        return FAILED
    except GptError as error:
        complain(f"ERROR: {error}")
        return FAILED


def _with_drive(text: str, parsed: Parsed | None) -> str:
    """The message of an error of a table or a value, which need not know which drive they are of."""
    if parsed is None or not parsed.arguments:
        return text
    drive = parsed.arguments[-1]
    try:
        path = resolve_target(drive).path
    except TargetError:
        # create -c made it and took it away again.
        path = drive
    return text if path in text else f"{path}: {text}"


def _overview() -> str:
    lines = ["", f"Usage: {PROGRAM} COMMAND [OPTIONS] DRIVE", "", "Commands of cgpt:", ""]
    lines += [f"    {name:<15}  {summary}" for name, summary in COMMANDS.items()]
    lines += ["", "Others:", ""]
    lines += [f"    {name:<15}  {summary}" for name, summary in OWN_COMMANDS.items()]
    lines += [
        "",
        f"{PROGRAM} COMMAND --help tells more; {PROGRAM} --version tells which CRC code is in use.",
        _ABOUT,
        "",
    ]
    return "\n".join(lines)


def _version() -> str:
    from gptlib import __version__
    from gptlib.table.crc import uses_c_extension

    crc = "crcmod with its C extension" if uses_c_extension() else "crcmod in Python (its C extension is not built)"
    return f"{PROGRAM} (slotboot) {__version__}; CRC-32 by {crc}"


if __name__ == "__main__":
    sys.exit(main())
