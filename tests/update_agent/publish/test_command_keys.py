"""Keys by the command line: rotated, revoked, closed with a passphrase, and those of somebody else."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.update_agent.publish.built import answer, build, contents, publish
from tests.update_agent.publish.place import OLD, Place
from tests.update_agent.updates import refusal, updatectl

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.update_agent.repository.world import Hand


def test_the_keys_of_another_repository_sign_nothing(place: Place, tmp_path: Path) -> None:
    publish("init", tmp_path / "other", "--keys", tmp_path / "keys")
    update, before = place.build("1.0", OLD), contents(place.folder)
    words = ["--keys", tmp_path / "keys"]
    for command in (
        ["add", place.folder, update, "--group", "alpha"],
        ["refresh", place.folder],
        ["rotate", place.folder, "root"],
    ):
        assert "of the" in refusal(updatectl("publish", *command, *words))
    assert contents(place.folder) == before
    root = tmp_path / "other/metadata/1.root.json"
    assert updatectl("publish", "check", place.folder, "--root", root).exit_code == 1
    publish("check", place.folder, "--root", place.folder / "metadata/1.root.json")


def test_keys_are_rotated_and_revoked(tmp_path: Path) -> None:
    folder, keys, safe = tmp_path / "r", tmp_path / "k", tmp_path / "safe"
    publish("init", folder, "--keys", keys, "--role", "root=3/2/730", "--role", "targets=2/1/365")
    safe.mkdir()
    for path in keys.glob("root-*.pem"):
        path.rename(safe / path.name)
    update = build(tmp_path / "out", "1.0", OLD)
    publish("add", folder, update, "--keys", keys, "--group", "alpha")
    assert "2 keys that sign root" in refusal(updatectl("publish", "rotate", folder, "targets", "--keys", keys))
    before = answer("list", folder, "--keys", keys)["roles"]["targets"]["keys"]
    told = publish("rotate", folder, "targets", "--key", before[0]["id"][:8], "--keys", keys, "--keys", safe).stdout
    assert f"targets: the key {before[0]['id']} counts no more (root 3)" in told
    assert "is in targets-3.pem" in told
    assert "no role has the key" in refusal(
        updatectl("publish", "revoke", folder, before[0]["id"], "--keys", keys, "--keys", safe)
    )
    assert "no role has the key" in refusal(
        updatectl("publish", "revoke", folder, before[1]["id"][:7], "--keys", keys, "--keys", safe)
    )
    publish("revoke", folder, before[1]["id"], "--keys", keys, "--keys", safe)
    after = answer("list", folder, "--keys", keys)["roles"]["targets"]["keys"]
    assert [key["file"] for key in after] == ["targets-3.pem"]
    refused = refusal(updatectl("publish", "revoke", folder, after[0]["id"][:8], "--keys", keys, "--keys", safe))
    assert "targets would have 0 keys and needs 1; rotate the key instead" in refused
    publish("check", folder, "--deep")


def test_a_passphrase_closes_the_keys_that_are_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, keys, secret = tmp_path / "r", tmp_path / "k", tmp_path / "secret"
    secret.write_text("open sesame\nnot this line\n")
    publish("init", folder, "--keys", keys, "--passphrase-file", secret)

    def opens(path: Path, *words: str) -> bool:
        done = subprocess.run(["openssl", "pkey", "-in", path, "-noout", *words], capture_output=True, check=False)
        return done.returncode == 0

    for path in keys.glob("*.pem"):
        offline = path.name.startswith(("root", "targets"))
        assert opens(path, "-passin", "pass:open sesame")
        assert opens(path, "-passin", "pass:") == (not offline), path
    update = build(tmp_path / "out", "1.0", OLD)
    words = ["add", folder, update, "--keys", keys, "--group", "alpha"]
    refused = refusal(updatectl("publish", *words))
    assert "0 of the 1 keys that sign targets are here" in refused
    assert "no passphrase opens root-1.pem, root-2.pem, root-3.pem, targets-1.pem" in refused
    monkeypatch.setenv("SLOTBOOT_PASSPHRASE", "open says me")
    refusal(updatectl("publish", *words))
    (tmp_path / "other").write_text("open says you")
    refusal(updatectl("publish", *words, "--passphrase-file", tmp_path / "other"))
    # The timer asks nobody.
    publish("refresh", folder, "--keys", keys)
    # Each of several is tried.
    publish(*words, "--passphrase-file", tmp_path / "other", "--passphrase-file", secret)
    monkeypatch.setenv("SLOTBOOT_PASSPHRASE", "open sesame")
    publish("rotate", folder, "targets", "--keys", keys)
    assert not opens(keys / "targets-2.pem", "-passin", "pass:")
    assert opens(keys / "targets-2.pem", "-passin", "pass:open sesame")
    publish("check", folder)
    (tmp_path / "empty").touch()
    assert "expected a passphrase" in refusal(
        updatectl("publish", "refresh", folder, "--keys", keys, "--passphrase-file", tmp_path / "empty")
    )
    assert "No such file" in refusal(
        updatectl("publish", "refresh", folder, "--keys", keys, "--passphrase-file", tmp_path / "none")
    )


def test_a_key_of_openssl_with_a_passphrase_is_taken(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    path = place.keys / "targets-1.pem"
    close = f"openssl pkey -in {path} -aes256 -passout pass:x -out {place.path / 'closed'}"
    subprocess.run(close.split(), check=True)
    (place.path / "closed").rename(path)
    monkeypatch.setenv("SLOTBOOT_PASSPHRASE", "x")
    place.add("1.0", OLD)
    assert place.versions() == ["1.0"]


def test_what_is_due_is_said_by_refresh(place: Place, hand: Hand) -> None:
    (place.keys / "targets-1.pem").rename(place.path / "targets-1.pem")
    hand.pass_days(200)
    words = ["refresh", place.folder, "--keys", place.keys]
    said = publish(*words).stderr
    assert said.startswith("updatectl: targets holds until ")
    assert said.endswith(": run refresh with its keys soon\n")
    publish(*words, "--keys", place.path)
    assert publish(*words).stderr == ""


def test_an_init_that_was_cut_off_needs_the_passphrase_of_its_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["init", tmp_path / "r", "--keys", tmp_path / "k"]
    monkeypatch.setenv("SLOTBOOT_PASSPHRASE", "x")
    publish(*words)
    (tmp_path / "r/metadata/timestamp.json").unlink()
    monkeypatch.setenv("SLOTBOOT_PASSPHRASE", "y")
    assert "root-1.pem: its passphrase is another one" in refusal(updatectl("publish", *words))
    monkeypatch.delenv("SLOTBOOT_PASSPHRASE")
    assert "root-1.pem: its passphrase is needed: see --passphrase-file" in refusal(updatectl("publish", *words))
    monkeypatch.setenv("SLOTBOOT_PASSPHRASE", "x")
    publish(*words)
    assert len(list((tmp_path / "k").glob("*.pem"))) == 6
