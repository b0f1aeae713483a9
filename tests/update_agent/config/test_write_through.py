"""A cloud-config written through to update.conf, judged by a shell and by our own reading of the file."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.update_agent.updates import updatectl
from update_agent.config.errors import ConfigError
from update_agent.config.files import read_configuration
from update_agent.config.write_through import write_through

if TYPE_CHECKING:
    from pathlib import Path

CLOUD = """\
#cloud-config
coreos:
  update:
    reboot-strategy: off
    group: beta
  locksmith:
    endpoint: http://10.0.0.1:2379,http://10.0.0.2:2379
    window_start: Thu 23:00
    window_length: 1h30m
"""
# The article's machine after coreos-cloudinit: the lines that were there, and one for each name that is new.
BEFORE = """\
# ours
GROUP=stable
SERVER=https://updates.example.com/
REBOOT_WINDOW_START=04:00
 LOCKSMITHD_REBOOT_WINDOW_LENGTH = 2h
REBOOT_STRATEGY=reboot
GROUP=alpha
"""
AFTER = """\
# ours
GROUP=beta
SERVER=https://updates.example.com/
REBOOT_WINDOW_START='Thu 23:00'
LOCKSMITHD_REBOOT_WINDOW_LENGTH=1h30m
REBOOT_STRATEGY=off
LOCKSMITHD_ENDPOINT=http://10.0.0.1:2379,http://10.0.0.2:2379
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "etc/coreos").mkdir(parents=True)
    (tmp_path / "etc/coreos/update.conf").write_text(BEFORE)
    (tmp_path / "user-data").write_text(CLOUD)
    return tmp_path


def test_other_lines_stay_and_ours_are_replaced_where_they_are(root: Path) -> None:
    path, names = write_through(root, root / "user-data")
    assert path == root / "etc/coreos/update.conf"
    assert path.read_text() == AFTER
    assert names[:2] == ["REBOOT_STRATEGY", "GROUP"]
    assert sorted(os.listdir(path.parent)) == ["update.conf"]  # noqa: PTH208
    assert write_through(root, root / "user-data") == (path, [])


def test_what_is_written_means_the_same_as_the_cloud_config(root: Path) -> None:
    wanted = read_configuration(root, {}, cloud_config=root / "user-data").settings
    path, _ = write_through(root, root / "user-data")
    assert read_configuration(root, {}).settings == wanted
    argv = ["sh", "-c", '. "$0"; echo "$GROUP|$REBOOT_STRATEGY|$REBOOT_WINDOW_START"', str(path)]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout == "beta|off|Thu 23:00\n"


def test_where_etc_has_none_that_of_the_image_is_the_beginning(tmp_path: Path) -> None:
    (tmp_path / "usr/share/flatcar").mkdir(parents=True)
    (tmp_path / "usr/share/flatcar/update.conf").write_text("SERVER=https://a.example.com/\nGROUP=stable\n")
    (tmp_path / "etc/flatcar").mkdir(parents=True)
    (tmp_path / "etc/coreos").symlink_to("flatcar")
    (tmp_path / "etc/coreos/cloud-config.yml").write_text("#cloud-config\ncoreos: {update: {group: beta}}\n")
    path, names = write_through(tmp_path)
    assert path.resolve() == tmp_path / "etc/flatcar/update.conf"
    assert (path.read_text(), names) == ("SERVER=https://a.example.com/\nGROUP=beta\n", ["GROUP"])
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_password_makes_the_file_its_owners(root: Path) -> None:
    data = root / "user-data"
    data.write_text("#cloud-config\ncoreos: {locksmith: {etcd_username: ops, etcd_password: top secret}}\n")
    result = updatectl("config", "--root", root, "--write-through", "--cloud-config", data)
    assert "secret" not in result.output
    path = root / "etc/coreos/update.conf"
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_configuration(root, {}).settings.lock_password == "top secret"  # noqa: S105


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("coreos: {update: {reboot-strategy: sometimes}}", "coreos.update.reboot_strategy is 'sometimes'"),
        ("coreos: {locksmith: {window_start: 4:00}}", "expected both or none"),
        ("coreos: {locksmith: {group: it's}}", "it has a quote in it"),
        ("coreos: {locksmith: {grop: x}}", "is no setting"),
    ],
)
def test_a_mistake_is_told_with_file_and_line_and_nothing_is_written(root: Path, text: str, problem: str) -> None:
    (root / "etc/coreos/update.conf").write_text("GROUP=stable\n")
    (root / "user-data").write_text(f"#cloud-config\n{text}\n")
    with pytest.raises(ConfigError) as raised:
        write_through(root, root / "user-data")
    assert f"{root}/user-data:2: " in str(raised.value)
    assert problem in str(raised.value)
    assert (root / "etc/coreos/update.conf").read_text() == "GROUP=stable\n"


def test_without_a_cloud_config_there_is_nothing_to_write_and_a_named_one_must_be_there(root: Path) -> None:
    assert write_through(root)[1] == []
    with pytest.raises(ConfigError, match="No such file"):
        write_through(root, root / "none")


def test_a_full_disk_leaves_the_old_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_through(root, root / "user-data")
    assert (root / "etc/coreos/update.conf").read_text() == BEFORE
    assert os.listdir(root / "etc/coreos") == ["update.conf"]  # noqa: PTH208


def test_the_command_says_what_it_set(root: Path) -> None:
    words = ("config", "--root", root, "--write-through", "--cloud-config", root / "user-data")
    assert json.loads(updatectl(*words, "--json").stdout)["set"][0] == "REBOOT_STRATEGY"
    assert updatectl(*words).stdout == f"{root}/etc/coreos/update.conf: there is nothing to be written\n"
