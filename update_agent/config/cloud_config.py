"""The part of a cloud-config that is about updates: ``coreos.update`` and ``coreos.locksmith``, as coreos-cloudinit knows them.

Every scalar stays the text that was written: YAML 1.1 takes ``off`` for a truth value and ``14:00`` for 840. What else is in the file is
for others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from update_agent.config.fragment import Fragment
from update_agent.config.settings import ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = "#cloud-config"
KEYS = {row.cloud.replace("-", "_"): row.key for row in ROWS.values() if row.cloud}
"""Path in a cloud-config, with underscores -> key of the setting. coreos-cloudinit takes ``-`` and ``_`` in names for the same."""
NOT_OURS = ("etcd", "etcd2", "flannel", "fleet", "oem", "units")
"""What else coreos-cloudinit knows below ``coreos``."""
_SECTIONS = ("update", "locksmith")
_SCALAR, _MAPPING = "scalar", "mapping"


def read_cloud_config(where: str, data: bytes) -> Fragment:
    """The assignments; a key without a value sets nothing."""
    fragment = Fragment(where)
    text = fragment.text(data)
    if text is None:
        return fragment
    if text.partition("\n")[0].rstrip() != HEADER:
        fragment.wrong(f"it is no cloud-config: its first line is not {HEADER}", 1)
        return fragment
    root = _parse(fragment, text)
    for name, node in _children(fragment, "", root):
        if name != "coreos":
            continue
        for section, below in _children(fragment, "coreos", node):
            if section in _SECTIONS:
                _read(fragment, f"coreos.{section}", below)
            elif section not in NOT_OURS:
                fragment.unknown(
                    f"coreos.{section}", [f"coreos.{one}" for one in (*_SECTIONS, *NOT_OURS)], _line(below)
                )
    return fragment


def _parse(fragment: Fragment, text: str) -> Any:  # noqa: ANN401  (a node of PyYAML)
    try:
        import yaml
    except ImportError:
        fragment.wrong(
            "PyYAML is needed to read it; install it (pip install PyYAML, Debian: apt-get install python3-yaml)"
        )
        return None
    try:
        return yaml.compose(text, getattr(yaml, "CBaseLoader", yaml.BaseLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        fragment.wrong(f"it is no YAML: {problem}", mark.line + 1 if mark else 0)
    except RecursionError:
        fragment.wrong("it is nested too deeply")
    return None


def _read(fragment: Fragment, section: str, node: Any) -> None:  # noqa: ANN401
    for name, value in _children(fragment, section, node):
        path, line = f"{section}.{name}", _line(value)
        if path not in KEYS:
            fragment.unknown(path, KEYS, line)
        elif value.id != _SCALAR:
            fragment.wrong(f"{path} is a {value.id}; expected a value", line)
        elif value.value:
            fragment.assign(KEYS[path], path, value.value, line)


def _children(fragment: Fragment, path: str, node: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """Names, with underscores, and nodes of a mapping; none of an empty one."""
    if node is None or (node.id == _SCALAR and not node.value):
        return
    if node.id != _MAPPING:
        fragment.wrong(f"{path or 'the file'} is a {node.id}; expected names with values", _line(node))
        return
    seen = set()
    for name_node, value in node.value:
        name = str(name_node.value).replace("-", "_") if name_node.id == _SCALAR else f"a {name_node.id}"
        # What is not ours may be as it likes.
        if name in seen and (path or name == "coreos"):
            fragment.wrong(f"{path}.{name} stands there twice".lstrip("."), _line(name_node))
        seen.add(name)
        yield name, value


def _line(node: Any) -> int:  # noqa: ANN401
    return int(node.start_mark.line) + 1
