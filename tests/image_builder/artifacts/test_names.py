"""File names of updates: systemd-sysupdate reads the version out of them, and no other file's."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from image_builder.artifacts.names import ArtifactNameError, artifact_names
from image_builder.artifacts.sums import update_sums
from tests.support import run_tool


def sysupdate_version(pattern: str, name: str) -> str | None:
    """What systemd-sysupdate takes for the version: everything up to the first place of what follows (sysupdate-pattern.c)."""
    before, after = pattern.split("@v")
    if not name.startswith(before) or after not in name[len(before) :]:
        return None
    version, _, rest = name[len(before) :].partition(after)
    return version if not rest and re.fullmatch(r"[A-Za-z0-9.,_+-]+", version) else None


def test_the_files_of_an_update_have_one_beginning() -> None:
    names = artifact_names("shop", "2.1", "base")
    assert names.slot == "shop_2.1_base.slot"
    assert (names.medium, names.manifest, names.packages) == (
        "shop_2.1_base.update",
        "shop_2.1_base.json",
        "shop_2.1_base.spdx.json",
    )
    assert names.pattern == "shop_@v_base.slot"


IMAGES = ("os", "os-server", "os.1", "1")
VERSIONS = ("1", "1.2-rc1", "2026.11+git1,x", "os-1")
SLOTS = ("base", "x-base", "slot", "1")
ALL = [(image, version, slot) for image in IMAGES for version in VERSIONS for slot in SLOTS]


def test_a_pattern_finds_its_own_versions_and_no_others() -> None:
    files = {artifact_names(*parts).slot: parts for parts in ALL}
    assert len(files) == len(ALL)
    for image, _, slot in ALL:
        pattern = artifact_names(image, "1", slot).pattern
        found = {version for file in files if (version := sysupdate_version(pattern, file)) is not None}
        assert found == set(VERSIONS)
        assert len([file for file in files if sysupdate_version(pattern, file)]) == len(VERSIONS)


def test_no_two_files_of_a_folder_have_the_same_name() -> None:
    names = [artifact_names(*parts) for parts in ALL]
    files = [file for name in names for file in (name.slot, name.medium, name.manifest, name.packages)]
    assert len(set(files)) == len(files)


@pytest.mark.parametrize(
    ("part", "parts"),
    [
        ("name", ("os_server", "1", "base")),
        ("name", ("", "1", "base")),
        ("name", ("../os", "1", "base")),
        ("name", ("os\n", "1", "base")),
        ("version", ("os", "1_2", "base")),
        ("version", ("os", "1~rc1", "base")),
        ("version", ("os", "1 2", "base")),
        ("version", ("os", "-1", "base")),
        ("slot", ("os", "1", "a_base")),
        ("slot", ("os", "1", "base.spdx")),
        ("slot", ("os", "1", "bäse")),
        ("name", ("o" * 200, "1" * 50, "base")),
    ],
)
def test_what_would_be_read_as_something_else_is_refused(part: str, parts: tuple[str, str, str]) -> None:
    with pytest.raises(
        ArtifactNameError, match=f"the {part} .* cannot be part of the file names of an update: expected"
    ):
        artifact_names(*parts)


SYSUPDATE = next(
    (
        path
        for path in (Path("/usr/lib/systemd/systemd-sysupdate"), Path("/lib/systemd/systemd-sysupdate"))
        if path.exists()
    ),
    None,
)


@pytest.mark.skipif(SYSUPDATE is None, reason="systemd-sysupdate is not installed (Debian 12 has none)")
@pytest.mark.parametrize("kind", ["url-file", "regular-file"])
def test_systemd_sysupdate_finds_the_versions_in_the_folder(tmp_path: Path, kind: str) -> None:
    folder, target, definitions = tmp_path / "folder", tmp_path / "target", tmp_path / "definitions"
    for path in (folder, target, definitions):
        path.mkdir()
    digests = {}
    for image, version, slot in (
        ("os", "1.2", "base"),
        ("os", "1.10", "base"),
        ("os", "9", "x-base"),
        ("os-x", "8", "base"),
    ):
        file = folder / artifact_names(image, version, slot).slot
        file.write_bytes(version.encode())
        digests[file.name] = run_tool("sha256sum", file).split()[0]
    update_sums(folder, digests)
    source = f"file://{folder}" if kind == "url-file" else str(folder)
    lines = [
        "[Transfer]",
        "Verify=no",
        "[Source]",
        f"Type={kind}",
        f"Path={source}",
        f"MatchPattern={artifact_names('os', '1', 'base').pattern}",
    ]
    lines += ["[Target]", "Type=regular-file", f"Path={target}", "MatchPattern=os_@v.img"]
    for ending in ("conf", "transfer"):
        (definitions / f"10-os.{ending}").write_text("\n".join(lines))
    argv = [str(SYSUPDATE), f"--definitions={definitions}", "--verify=no", "--json=short"]
    done = subprocess.run([*argv, "list"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert set(re.findall(r"\d+(?:\.\d+)?", done.stdout)) >= {"1.2", "1.10"}
    assert not {"9", "8"} & set(re.findall(r'"([\d.]+)"', done.stdout))
