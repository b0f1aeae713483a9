"""One setting over the other, all mistakes at once, and files that are there or not."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from update_agent.config.configuration import configure
from update_agent.config.errors import ConfigError
from update_agent.config.files import read_configuration
from update_agent.config.fragment import Fragment
from update_agent.config.settings import FIELDS, ROWS, STRATEGIES, Settings

if TYPE_CHECKING:
    from pathlib import Path


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def problems(root: Path, environ: dict[str, str] | None = None, cloud_config: Path | None = None) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        read_configuration(root, environ or {}, cloud_config=cloud_config)
    assert str(refused.value) == "\n".join(map(str, refused.value.mistakes))
    return [str(mistake).replace(f"{root}/", "") for mistake in refused.value.mistakes]


def test_a_machine_where_nothing_is_set_has_what_coreos_had(tmp_path: Path) -> None:
    found = read_configuration(tmp_path, {})
    assert found.settings == Settings()
    assert found.inputs == {}
    settings = found.settings
    assert (settings.first_check, settings.check_interval, settings.check_jitter) == (
        timedelta(minutes=7),
        timedelta(minutes=45),
        timedelta(minutes=10),
    )
    assert (settings.group, settings.reboot_strategy, settings.tries) == ("stable", "best-effort", 3)
    assert (settings.minimum_rate, settings.minimum_rate_time) == (1000, timedelta(seconds=60))
    assert settings.enabled


def test_each_source_is_over_those_before_it_key_by_key(tmp_path: Path) -> None:
    order = [
        ("usr/share/coreos/update.conf", "GROUP=a1\n"),
        ("usr/share/flatcar/update.conf", "GROUP=a2\n"),
        ("usr/share/slotboot/agent.toml", '[update]\ngroup = "a3"\n'),
        ("usr/share/slotboot/agent.d/10-a.toml", '[update]\ngroup = "a4"\n'),
        ("etc/coreos/update.conf", "GROUP=a5\n"),
        ("etc/flatcar/update.conf", "GROUP=a6\n"),
        ("etc/slotboot/agent.toml", '[update]\ngroup = "a7"\n'),
        ("etc/slotboot/agent.d/10-first.toml", '[update]\ngroup = "a8"\n'),
        ("etc/slotboot/agent.d/9-later.toml", '[update]\ngroup = "a9"\n'),
        ("etc/coreos/cloud-config.yml", "#cloud-config\ncoreos: {update: {group: a10}}\n"),
    ]
    write(tmp_path, {"usr/share/coreos/update.conf": "GROUP=a1\nREBOOT_STRATEGY=off\n"})
    for number, (name, text) in enumerate(order, 1):
        if number > 1:
            write(tmp_path, {name: text})
        found = read_configuration(tmp_path, {})
        assert found.settings.group == f"a{number}", name
        assert [one.value for one in found.inputs["update.group"]] == [f"a{place}" for place in range(1, number + 1)]
        assert found.inputs["update.group"][-1].origin.where == f"{tmp_path}/{name}"
    found = read_configuration(tmp_path, {"SLOTBOOT_UPDATE_GROUP": "a11"})
    assert found.settings.group == "a11"
    assert found.settings.reboot_strategy == "off"
    assert str(found.inputs["reboot.strategy"][0].origin) == f"{tmp_path}/usr/share/coreos/update.conf:2"


def test_a_server_that_is_disabled_stops_updates(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "usr/share/coreos/update.conf": "SERVER=https://example.com/\n",
            "etc/coreos/update.conf": "SERVER=disabled\n",
        },
    )
    assert not read_configuration(tmp_path, {}).settings.enabled


def test_all_mistakes_are_told_at_once_in_the_order_of_the_files(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "etc/coreos/update.conf": "GRUOP=a\nREBOOT_STRATEGY=sometimes\n",
            "etc/slotboot/agent.toml": '[check]\nfirst = "soon"\nintervall = "1h"\n[update]\ntries = 99\nserver = "ftp://x"\n',
            "etc/slotboot/agent.d/1.toml": "nonsense\n",
        },
    )
    found = problems(tmp_path, {"SLOTBOOT_X": "1", "SLOTBOOT_NETWORK_RETRIES": "many"})
    assert found == [
        "etc/coreos/update.conf:1: GRUOP is no setting; did you mean GROUP?",
        "etc/coreos/update.conf:2: REBOOT_STRATEGY is 'sometimes'; expected one of best-effort, etcd-lock, fleet-lock, reboot, off",
        "etc/slotboot/agent.toml:2: check.first is 'soon'; expected a time from 0s to 7d, as \"1h30m\"",
        "etc/slotboot/agent.toml:3: check.intervall is no setting; did you mean check.interval?",
        "etc/slotboot/agent.toml:5: update.tries is '99'; expected a whole number from 1 to 15",
        (
            "etc/slotboot/agent.toml:6: update.server is 'ftp://x'; expected an address that begins with http:// or https://, "
            'disabled, or ""'
        ),
        "etc/slotboot/agent.d/1.toml: it is no TOML file: Expected '=' after a key in a key/value pair (at line 1, column 9)",
        "environment: SLOTBOOT_X is no setting; all are in docs/update-settings.md",
        "environment: SLOTBOOT_NETWORK_RETRIES is 'many'; expected a whole number from 0 to 1000",
    ]


def test_a_value_that_another_one_overrides_is_no_obstacle(tmp_path: Path) -> None:
    write(tmp_path, {"usr/share/coreos/update.conf": "GROUP=not a group\n"})
    assert problems(tmp_path) == [
        "usr/share/coreos/update.conf:1: GROUP is 'not a group'; expected 1 to 64 letters, digits, '.', '_' and '-'"
    ]
    write(tmp_path, {"etc/coreos/update.conf": "GROUP=alpha\n"})
    assert read_configuration(tmp_path, {}).settings.group == "alpha"


def test_a_jitter_as_long_as_the_interval_is_refused_where_it_was_set(tmp_path: Path) -> None:
    write(tmp_path, {"etc/slotboot/agent.toml": '[check]\ninterval = "5m"\n'})
    told = "check.jitter is 10m; expected less than check.interval, which is 5m"
    assert problems(tmp_path) == [f"etc/slotboot/agent.toml:2: {told}"]
    write(tmp_path, {"etc/slotboot/agent.d/a.toml": '[check]\njitter = "10m"\n'})
    assert problems(tmp_path) == [f"etc/slotboot/agent.d/a.toml:2: {told}"]
    write(tmp_path, {"etc/slotboot/agent.d/a.toml": '[check]\njitter = "0s"\n'})
    assert read_configuration(tmp_path, {}).settings.check_jitter == timedelta(0)


def test_nothing_secret_is_in_a_message(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "etc/coreos/update.conf": "LOCKSMITHD_ETCD_PASSWORD=topsecret\x07\n",
            "etc/slotboot/agent.toml": '[network]\nproxy = "ftp://ops:topsecret@proxy"\n',
        },
    )
    assert "topsecret" not in "".join(problems(tmp_path))


def test_a_file_that_cannot_be_read_is_a_mistake_and_one_that_is_not_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "etc/slotboot/agent.toml").mkdir(parents=True)
    (tmp_path / "etc/coreos").write_text("")
    (tmp_path / "etc/flatcar").mkdir()
    os.mkfifo(tmp_path / "etc/flatcar/update.conf")
    assert problems(tmp_path, cloud_config=tmp_path / "none.yml") == [
        "etc/flatcar/update.conf: it cannot be read: it is no file",
        "etc/slotboot/agent.toml: it cannot be read: Is a directory",
        "none.yml: it cannot be read: No such file or directory",
    ]


def test_a_cloud_config_that_is_named_stands_in_for_the_one_of_the_system(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "etc/coreos/cloud-config.yml": "#cloud-config\ncoreos: {update: {group: beta}}\n",
            "user-data": "#cloud-config\ncoreos: {update: {group: alpha}}\n",
        },
    )
    assert read_configuration(tmp_path, {}).settings.group == "beta"
    assert read_configuration(tmp_path, {}, cloud_config=tmp_path / "user-data").settings.group == "alpha"


def test_drop_ins_are_files_with_that_ending_and_no_hidden_ones(tmp_path: Path) -> None:
    folder = "etc/slotboot/agent.d"
    write(tmp_path, {f"{folder}/{name}": "nonsense" for name in (".a.toml", "a.toml~", "a.toml.dpkg-old", "README")})
    assert read_configuration(tmp_path, {}).inputs == {}


def test_on_flatcar_where_two_folders_are_one_each_file_is_read_once(tmp_path: Path) -> None:
    write(tmp_path, {"etc/flatcar/update.conf": "GROUP=alpha\n"})
    (tmp_path / "etc/coreos").symlink_to("flatcar")
    assert len(read_configuration(tmp_path, {}).inputs["update.group"]) == 1


def test_a_text_that_is_empty_in_our_own_file_takes_back_what_the_image_brings(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "usr/share/coreos/update.conf": "SERVER=https://example.com/\n",
            "etc/slotboot/agent.toml": '[update]\nserver = ""\n',
        },
    )
    assert read_configuration(tmp_path, {}).settings.server == ""


def test_a_fragment_alone_is_a_configuration() -> None:
    fragment = Fragment("by hand")
    fragment.assign("update.tries", "update.tries", "5")
    assert configure([fragment]).settings == Settings(tries=5)


def test_settings_cannot_be_changed_and_every_one_has_a_row() -> None:
    assert set(FIELDS.values()) == set(vars(Settings()))
    assert set(FIELDS) == set(ROWS)
    with pytest.raises(AttributeError):
        Settings().tries = 4  # type: ignore[misc]
    assert STRATEGIES == ("best-effort", "etcd-lock", "fleet-lock", "reboot", "off")
