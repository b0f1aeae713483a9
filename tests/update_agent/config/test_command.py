"""``updatectl config``: an agent.toml that says where each line came from."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING

import pytest

from tests.update_agent.updates import updatectl
from update_agent.config.files import read_configuration
from update_agent.config.settings import ROWS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in {
        "usr/share/coreos/update.conf": "GROUP=stable\n",
        "etc/coreos/update.conf": "# ours\nGROUP=alpha\nLOCKSMITHD_ETCD_PASSWORD=topsecret\n",
        "etc/slotboot/agent.toml": '[network]\nproxy = "http://ops:topsecret@proxy:3128"\nrate-limit = "2MB/s"\n',
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_each_line_says_where_its_value_came_from_and_what_it_is_over(root: Path) -> None:
    lines = updatectl("config", "--root", root).stdout.splitlines()
    (group,) = [line for line in lines if line.startswith("group = ") and "alpha" in line]
    assert (
        group.split("  # ")[1]
        == f"{root}/etc/coreos/update.conf:2 GROUP; over {root}/usr/share/coreos/update.conf:1 GROUP"
    )
    (limit,) = [line for line in lines if line.startswith("rate-limit")]
    assert limit.split() == ["rate-limit", "=", '"2MB/s"', "#", f"{root}/etc/slotboot/agent.toml:3"]
    (tries,) = [line for line in lines if line.startswith("tries")]
    assert tries.split() == ["tries", "=", "3", "#", "default"]


def test_the_output_is_an_agent_toml_with_the_same_values(root: Path, tmp_path: Path) -> None:
    printed = updatectl("config", "--root", root).stdout
    keys = [f"{section}.{name}" for section, table in tomllib.loads(printed).items() for name in table]
    assert keys == list(ROWS)
    again = tmp_path / "again/etc/slotboot"
    again.mkdir(parents=True)
    (again / "agent.toml").write_text(printed.replace("***@", "ops:topsecret@").replace("(hidden)", "topsecret"))
    assert read_configuration(tmp_path / "again", {}).settings == read_configuration(root, {}).settings


def test_for_scripts_there_are_numbers_and_places(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLOTBOOT_CHECK_INTERVAL", "1h30m")
    found = json.loads(updatectl("config", "--root", root, "--json").stdout)
    assert list(found) == list(ROWS)
    assert found["check.interval"] == {
        "value": 5400,
        "shown": "1h30m",
        "from": "environment",
        "line": None,
        "name": "SLOTBOOT_CHECK_INTERVAL",
        "over": [],
    }
    group = found["update.group"]
    assert (group["value"], group["from"], group["line"]) == ("alpha", f"{root}/etc/coreos/update.conf", 2)
    assert group["over"] == [{"from": f"{root}/usr/share/coreos/update.conf", "line": 1, "name": "GROUP"}]
    assert (found["network.rate-limit"]["value"], found["update.tries"]["value"]) == (2_000_000, 3)
    assert found["update.tries"]["from"] == "default"


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_nothing_secret_is_shown(root: Path, words: list[str]) -> None:
    result = updatectl("config", "--root", root, *words)
    assert "topsecret" not in result.output
    assert "(hidden)" in result.stdout
    assert "http://***@proxy:3128" in result.stdout


def test_every_mistake_is_a_line_and_the_exit_code_is_one(root: Path) -> None:
    (root / "etc/slotboot/agent.toml").write_text("[update]\ntries = 99\ngruop = 1\n")
    result = updatectl("config", "--root", root)
    path = f"{root}/etc/slotboot/agent.toml"
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        f"updatectl: {path}:2: update.tries is '99'; expected a whole number from 1 to 15",
        f"{path}:3: update.gruop is no setting; did you mean update.group?",
    ]


def test_a_cloud_config_can_be_given(root: Path, tmp_path: Path) -> None:
    (tmp_path / "user-data").write_text("#cloud-config\ncoreos: {update: {reboot-strategy: off}}\n")
    printed = updatectl("config", "--root", root, "--cloud-config", tmp_path / "user-data").stdout
    assert tomllib.loads(printed)["reboot"]["strategy"] == "off"
