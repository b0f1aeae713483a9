"""Files as CoreOS and Flatcar have them, our own, cloud-config and environment: what each says, and what is refused in it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.documentation import ROOT
from update_agent.config.agent_toml import read_agent_toml
from update_agent.config.cloud_config import read_cloud_config
from update_agent.config.environment import NOT_OURS, read_environment
from update_agent.config.fragment import LARGEST, Fragment
from update_agent.config.settings import ROWS
from update_agent.config.update_conf import read_update_conf

if TYPE_CHECKING:
    from collections.abc import Callable

FLATCAR = b"""\
# Set by Ignition
SERVER=https://public.update.flatcar-linux.net/v1/update/
GROUP=stable
REBOOT_STRATEGY="reboot"
LOCKSMITHD_REBOOT_WINDOW_START="Thu 04:00"
LOCKSMITHD_REBOOT_WINDOW_LENGTH='2h'

MACHINE_ALIAS=rack 7 = left
"""
CLOUD = b"""\
#cloud-config

hostname: core1
coreos:
  etcd2:
    discovery: https://discovery.etcd.io/<token>
  update:
    reboot-strategy: off
    group: beta
    server: https://update.example.com/v1/update/
  units:
    - name: etcd2.service
      command: start
  locksmith:
    endpoint: http://example.com:2379
    etcd_cafile: /etc/ssl/etcd/ca.pem
    etcd-certfile: /etc/ssl/etcd/cert.pem
    group: database
    window_start: 14:00
    window_length: 1h
ssh_authorized_keys:
  - ssh-rsa AAAA
"""


def said(fragment: Fragment) -> dict[str, tuple[str, int]]:
    assert fragment.mistakes == []
    return {one.key: (one.value, one.origin.line) for one in fragment.assignments}


def wrong(fragment: Fragment) -> list[str]:
    return [str(mistake) for mistake in fragment.mistakes]


def test_an_update_conf_of_flatcar_says_what_its_operator_wrote() -> None:
    assert said(read_update_conf("update.conf", FLATCAR)) == {
        "update.server": ("https://public.update.flatcar-linux.net/v1/update/", 2),
        "update.group": ("stable", 3),
        "reboot.strategy": ("reboot", 4),
        "locksmith.window-start": ("Thu 04:00", 5),
        "locksmith.window-length": ("2h", 6),
        "update.machine-alias": ("rack 7 = left", 8),
    }


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b"GROUP=alpha\r\n", "alpha"),
        (b"  GROUP = alpha  ", "alpha"),
        (b"GROUP='alpha'", "alpha"),
        (b"GROUP=beta\nGROUP=alpha\n", "alpha"),
    ],
)
def test_small_differences_of_writing_make_none(line: bytes, value: str) -> None:
    assert read_update_conf("x", line).assignments[-1].value == value


def test_a_name_without_a_value_sets_nothing() -> None:
    assert said(read_update_conf("x", b'SERVER=\nGROUP=""\n')) == {}


@pytest.mark.parametrize(
    ("data", "mistakes"),
    [
        (b"GRUOP=alpha\n", ["x:1: GRUOP is no setting; did you mean GROUP?"]),
        (b"#\nGROUP\n", ["x:2: GROUP is not followed by a value; expected NAME=value"]),
        (b'GROUP="alpha\n', ["x:1: GROUP is not followed by a value; expected NAME=value"]),
        (b"GROUP='\n", ["x:1: GROUP is not followed by a value; expected NAME=value"]),
        (b"group=alpha\n", ["x:1: group is no setting; all are in docs/update-settings.md"]),
        (
            b"ANSWER=42\n\nQUESTION=?\n",
            [
                f"x:{line}: {name} is no setting; all are in docs/update-settings.md"
                for line, name in ((1, "ANSWER"), (3, "QUESTION"))
            ],
        ),
        (b"GROUP=a\n\xff\n", ["x:2: it is not UTF-8 (invalid start byte)"]),
        (b"#" * (LARGEST + 1), [f"x: it has more than {LARGEST} bytes"]),
    ],
)
def test_what_is_wrong_in_an_update_conf_is_named_with_its_line(data: bytes, mistakes: list[str]) -> None:
    assert wrong(read_update_conf("x", data)) == mistakes


def test_our_own_file_has_a_table_for_each_section() -> None:
    data = b'update.group = "alpha"\n[check]\ninterval = "1h"\n\n[update]\ntries = 5\nrepository = "/srv/updates"\n'
    with pytest.raises(AssertionError):  # TOML itself forbids to open a table twice
        said(read_agent_toml("x", data))
    assert said(read_agent_toml("x", data.replace(b'update.group = "alpha"\n', b""))) == {
        "check.interval": ("1h", 2),
        "update.tries": ("5", 5),
        "update.repository": ("/srv/updates", 6),
    }
    assert said(read_agent_toml("x", b'network = { proxy = "" }\nupdate.group = "beta"\n')) == {
        "network.proxy": ("", 1),
        "update.group": ("beta", 2),
    }


@pytest.mark.parametrize(
    ("data", "mistakes"),
    [
        (b'[check]\nintervall = "1h"\n', ["x:2: check.intervall is no setting; did you mean check.interval?"]),
        (b'[chekc]\ninterval = "1h"\n', ["x:1: chekc is no setting; did you mean check?"]),
        (b'group = "alpha"\n', ["x:1: group is no setting; all are in docs/update-settings.md"]),
        (b"check = 3\n", ["x:1: check is a section; expected [check]"]),
        (b'[update]\ntries = "3"\n', ["x:2: update.tries is a text; expected a whole number"]),
        (b"[update]\ntries = true\n", ["x:2: update.tries is true; expected a whole number"]),
        (b"[check]\n\ninterval = 45\n", ['x:3: check.interval is 45; expected a text, such as "..."']),
        (b"[reboot]\nstrategy = false\n", ['x:2: reboot.strategy is false; expected a text, such as "..."']),
        (b"[update]\ngroup = [1]\n", ['x:2: update.group is a list; expected a text, such as "..."']),
        (b"[update.group]\nx = 1\n", ['x:1: update.group is a table; expected a text, such as "..."']),
        (b"\xff", ["x:1: it is not UTF-8 (invalid start byte)"]),
    ],
)
def test_what_is_wrong_in_our_own_file_is_named_with_its_line(data: bytes, mistakes: list[str]) -> None:
    assert wrong(read_agent_toml("x", data)) == mistakes


@pytest.mark.parametrize("data", [b"[check\n", b"a = " + b"[" * 5000, b"a = 1" + b"0" * 5000])
def test_what_is_no_toml_is_one_mistake(data: bytes) -> None:
    (mistake,) = wrong(read_agent_toml("x", data))
    assert mistake.startswith("x: it is no TOML file")


def test_a_cloud_config_keeps_what_was_written() -> None:
    """``yaml.safe_load`` makes False of ``off`` and 840 of ``14:00``."""
    assert said(read_cloud_config("user-data", CLOUD)) == {
        "reboot.strategy": ("off", 8),
        "update.group": ("beta", 9),
        "update.server": ("https://update.example.com/v1/update/", 10),
        "locksmith.endpoint": ("http://example.com:2379", 15),
        "locksmith.etcd-cafile": ("/etc/ssl/etcd/ca.pem", 16),
        "locksmith.etcd-certfile": ("/etc/ssl/etcd/cert.pem", 17),
        "locksmith.group": ("database", 18),
        "locksmith.window-start": ("14:00", 19),
        "locksmith.window-length": ("1h", 20),
    }


@pytest.mark.parametrize(
    "data",
    [
        b"#cloud-config",
        b"#cloud-config\r\nhostname: x\r\n",
        b"#cloud-config\ncoreos:\n",
        b"#cloud-config\ncoreos:\n  update:\n",
        b"#cloud-config\ncoreos:\n  update:\n    group: ''\n    server:\n",
        b"#cloud-config\nupdate:\n  group: beta\n",
        b"#cloud-config\na: &a [1]\nb: [*a, *a]\na: 1\n",
    ],
)
def test_a_cloud_config_that_says_nothing_of_updates_sets_nothing(data: bytes) -> None:
    assert said(read_cloud_config("x", data)) == {}


@pytest.mark.parametrize(
    ("below", "mistakes"),
    [
        ("  update:\n    gruop: x\n", ["x:4: coreos.update.gruop is no setting; did you mean coreos.update.group?"]),
        ("  updates:\n    group: x\n", ["x:4: coreos.updates is no setting; did you mean coreos.update?"]),
        ("  update:\n    group: [a]\n", ["x:4: coreos.update.group is a sequence; expected a value"]),
        ("  update: stable\n", ["x:3: coreos.update is a scalar; expected names with values"]),
        ("  - update\n", ["x:3: coreos is a sequence; expected names with values"]),
        ("  update:\n    group: a\n    group: b\n", ["x:5: coreos.update.group stands there twice"]),
        (
            "  update:\n    reboot-strategy: a\n    reboot_strategy: b\n",
            ["x:5: coreos.update.reboot_strategy stands there twice"],
        ),
        (
            "  update:\n    <<: {group: a}\n",
            ["x:4: coreos.update.<< is no setting; all are in docs/update-settings.md"],
        ),
        ("  update:\n\tgroup: a\n", ["x:4: it is no YAML: found character that cannot start any token"]),
        ("coreos: {}\n", ["x:3: coreos stands there twice"]),
    ],
)
def test_what_is_wrong_in_a_cloud_config_is_named_with_its_line(below: str, mistakes: list[str]) -> None:
    assert wrong(read_cloud_config("x", f"#cloud-config\ncoreos:\n{below}".encode())) == mistakes


@pytest.mark.parametrize(
    "data", [b"#!/bin/sh\n", b"", b"hostname: x\n", b"\n#cloud-config\n", b"Content-Type: multipart/mixed\n"]
)
def test_what_is_no_cloud_config_is_refused_as_coreos_did(data: bytes) -> None:
    assert wrong(read_cloud_config("x", data)) == ["x:1: it is no cloud-config: its first line is not #cloud-config"]


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 50_000, "{a: " * 50_000, "--- a\n--- b\n", "&a [*a]"])
def test_a_hostile_cloud_config_is_refused_or_nothing(text: str) -> None:
    fragment = read_cloud_config("x", f"#cloud-config\n{text}\n".encode())
    assert fragment.assignments == []
    assert len(fragment.mistakes) == 1


def test_without_pyyaml_a_cloud_config_cannot_be_read_and_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    (mistake,) = wrong(read_cloud_config("x", CLOUD))
    assert "PyYAML is needed to read it; install it" in mistake


def test_the_environment_has_a_variable_for_every_setting() -> None:
    fragment = read_environment(
        {"SLOTBOOT_CHECK_INTERVAL": "1h", "SLOTBOOT_LOCKSMITH_ETCD_CAFILE": "/ca", "PATH": "/bin"}
    )
    assert {one.key: (one.name, one.value) for one in fragment.assignments} == {
        "check.interval": ("SLOTBOOT_CHECK_INTERVAL", "1h"),
        "locksmith.etcd-cafile": ("SLOTBOOT_LOCKSMITH_ETCD_CAFILE", "/ca"),
    }
    assert len({row.environment for row in ROWS.values()}) == len(ROWS)


def test_an_empty_variable_sets_nothing_and_one_that_nobody_knows_is_refused() -> None:
    fragment = read_environment({"SLOTBOOT_UPDATE_GROUP": "", "SLOTBOOT_UPDATE_GRUOP": "alpha", "SLOTBOOT_CACHE": "/c"})
    assert fragment.assignments == []
    assert wrong(fragment) == ["environment: SLOTBOOT_UPDATE_GRUOP is no setting; did you mean SLOTBOOT_UPDATE_GROUP?"]


def test_the_variables_of_our_other_programs_are_known() -> None:
    found = {
        word
        for folder in ("image_builder", "qemu_tests", "bootselect", "gptlib", "script", "bench")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix in {".py", ".sh", ""}
        for word in path.read_text(errors="replace").replace('"', " ").replace("$", " ").replace("{", " ").split()
        if word.startswith("SLOTBOOT_")
    }
    names = {
        "".join(letter for letter in word.split("=")[0].split("}")[0] if letter.isupper() or letter == "_")
        for word in found
    }
    assert {name.rstrip("_") for name in names} - {"SLOTBOOT"} <= set(NOT_OURS)
    assert set(NOT_OURS) <= names


@pytest.mark.parametrize("read", [read_update_conf, read_agent_toml, read_cloud_config])
def test_messages_are_one_printable_line(read: Callable[[str, bytes], Fragment]) -> None:
    for data in (b"a\x1b[2Jb=1\n", b'#cloud-config\ncoreos:\n  "a\\e[2Jb": 1\n', b'["a\\u001bb"]\n'):
        for mistake in wrong(read("x\ny", data)):
            assert mistake.isprintable()
