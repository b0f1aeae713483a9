"""Options in the manner of getopt: ``-i3``, ``-i 3``, ``-nv``, options after arguments, ``--`` to end them."""

from __future__ import annotations

from gptlib._record import Record
from gptlib._text import text_of
from gptlib.errors import GptError, InvalidValueError
from gptlib.table.guid import Guid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_MAX_NUMBER = (1 << 64) - 1


class UsageError(GptError):
    """A command line that cannot be understood. Nothing was read or written."""


class Option(Record):
    """One option. ``letter`` or ``name`` (``--name``) may be empty; ``value`` names its argument, empty for a switch."""

    letter: str
    value: str
    help: str
    name: str = ""

    @property
    def key(self) -> str:
        """Under which parsed values are found."""
        return self.letter or self.name


class Command(Record):
    """A command: ``arguments`` is the text after the options in its usage line."""

    name: str
    arguments: str
    summary: str
    options: tuple[Option, ...]
    run: Callable[[Parsed], int]
    notes: str = ""
    types: bool = False
    """Whether the help lists the names of partition types."""
    usage_exit: int = 1
    """Exit code for wrong usage: 1 as in cgpt, 2 for commands that cgpt does not have."""


class Parsed:
    """A parsed command line."""

    def __init__(self, values: dict[str, list[str]], arguments: list[str]) -> None:
        self._values, self.arguments = values, arguments

    def with_arguments(self, arguments: list[str]) -> Parsed:
        """The same options with other arguments."""
        return Parsed(self._values, arguments)

    def has(self, key: str) -> bool:
        """Whether the option was given."""
        return key in self._values

    def text(self, key: str) -> str | None:
        """The value of an option, the last one where it was repeated."""
        return self._values[key][-1] if key in self._values else None

    def label(self, key: str) -> str | None:
        """The value of an option that is a label: UTF-8, whatever the locale. Raises UsageError."""
        text = self.text(key)
        label = None if text is None else text_of(text)
        if label is not None and any("\ud800" <= letter <= "\udfff" for letter in label):
            raise UsageError(f"invalid argument to -{key}: the label is not UTF-8")
        return label

    def number(self, key: str, low: int = 0, high: int = _MAX_NUMBER) -> int | None:
        """A number in C notation (10, 0xa, 012). Raises UsageError."""
        text = self.text(key)
        if text is None:
            return None
        value = parse_number(text)
        if value is None:
            raise UsageError(f'invalid argument to -{key}: "{text}"')
        if not low <= value <= high:
            raise UsageError(f"value for -{key} must be between {low} and {high}")
        return value

    def guid(self, key: str) -> Guid | None:
        """A GUID. Raises UsageError."""
        text = self.text(key)
        try:
            return None if text is None else Guid.parse(text)
        except InvalidValueError as error:
            raise UsageError(f"invalid argument to -{key}: {error}") from None

    def type_guid(self, key: str) -> Guid | None:
        """A partition type by name or GUID. Raises UsageError."""
        from gptlib.table.types import type_guid

        text = self.text(key)
        try:
            return None if text is None else type_guid(text)
        except InvalidValueError as error:
            raise UsageError(f"invalid argument to -{key}: {error}") from None

    def argument(self, what: str = "drive") -> str:
        """The only argument. Raises UsageError."""
        if not self.arguments:
            raise UsageError(f"missing {what} argument")
        if len(self.arguments) > 1:
            raise UsageError(f"one {what} argument is expected, not {' '.join(self.arguments)}")
        return self.arguments[0]


def parse_number(text: str) -> int | None:
    """A number as strtoull with base 0 reads it, or None where it is none, is negative or needs more than 64 bits."""
    digits = text.lstrip().removeprefix("+").lower()
    if not digits.isascii() or not digits.isalnum():
        return None
    base = 16 if digits.startswith("0x") else 8 if digits.startswith("0") else 10
    try:
        # int() takes 0o17 for a number to the base 8, strtoull does not.
        value = int(digits[2:] if base == 16 else digits, base) if "o" not in digits else None
    except ValueError:
        return None
    return value if value is not None and value <= _MAX_NUMBER else None


def parse(options: Sequence[Option], argv: Sequence[str]) -> Parsed:
    """Sort a command line into options and arguments. Raises UsageError."""
    values: dict[str, list[str]] = {}
    arguments: list[str] = []
    words = iter(argv)
    for word in words:
        if word == "--":
            arguments.extend(words)
        elif word.startswith("--"):
            _parse_long(options, word, words, values)
        elif word.startswith("-") and word != "-":
            _parse_short(options, word[1:], words, values)
        else:
            arguments.append(word)
    return Parsed(values, arguments)


def _parse_long(options: Sequence[Option], word: str, words: Iterator[str], values: dict[str, list[str]]) -> None:
    name, equals, value = word[2:].partition("=")
    option = next((option for option in options if option.name == name and name), None)
    if option is None:
        raise UsageError(f"unrecognized option: --{name}")
    if not option.value and equals:
        raise UsageError(f"--{name} takes no argument")
    if option.value and not equals:
        value = _next(words, f"--{name}")
    values.setdefault(option.key, []).append(value)


def _parse_short(options: Sequence[Option], cluster: str, words: Iterator[str], values: dict[str, list[str]]) -> None:
    while cluster:
        letter, cluster = cluster[0], cluster[1:]
        option = next((option for option in options if option.letter == letter), None)
        if option is None:
            raise UsageError(f"unrecognized option: -{letter}")
        value = ""
        if option.value:
            value, cluster = cluster or _next(words, f"-{letter}"), ""
        values.setdefault(option.key, []).append(value)


def _next(words: Iterator[str], option: str) -> str:
    word = next(words, None)
    if word is None:
        raise UsageError(f"missing argument to {option}")
    return word


def help_text(program: str, command: Command) -> str:
    """What ``gptctl COMMAND --help`` prints."""
    lines = ["", f"Usage: {program} {command.name} [OPTIONS] {command.arguments}".rstrip(), "", command.summary, ""]
    lines += ["Options:", *(_option_help(option) for option in (*command.options, HELP)), ""]
    if command.notes:
        lines += [command.notes, ""]
    if command.types:
        from gptlib.table.types import type_names

        lines += ["The partition type may also be given as one of these names:", ""]
        lines += [f"    {name:<24}{text}" for name, _, text in type_names()]
        lines.append("")
    return "\n".join(lines)


def _option_help(option: Option) -> str:
    long = f"--{option.name}" if option.name else ""
    left = f"-{option.letter}" if option.letter else ""
    left = ", ".join(filter(None, (left, long))) + (f" {option.value}" if option.value else "")
    first, *others = option.help.split("\n")
    return "\n".join(
        [f"  {left:<13}{first}" if len(left) < 13 else f"  {left}  {first}", *(f"{'':15}{o}" for o in others)]
    )


HELP = Option("h", "", "Show this help", "help")
