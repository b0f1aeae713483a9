"""``bootselect integrate``: what it puts where, what it leaves alone, and that it takes out only what is its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bootselect.cli.main import main
from bootselect.integration.install import integrate, programs_of
from bootselect.integration.places import TOOLS, Programs

HOOK = Path("etc/initramfs-tools/hooks/bootselect")
UNIT = Path("etc/systemd/system/bootselect-health.service")
DRACUT = Path("usr/lib/dracut/modules.d/90bootselect")
SOURCES = Path(__file__).parents[2] / "bootselect/integration"


def run(*argv: object) -> Result:
    result = CliRunner().invoke(main, ["integrate", *[str(word) for word in argv]], prog_name="bootselect")
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A system in which slotboot is installed."""
    root = tmp_path / "root"
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/bootselect").touch()
    return root


def content(root: Path) -> dict[str, tuple[str, int]]:
    """Path -> what is there, and its mode."""
    return {
        str(path.relative_to(root)): (
            str(path.readlink()) if path.is_symlink() else path.read_text(),
            path.lstat().st_mode,
        )
        for path in root.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def states(root: Path, *tools: str) -> dict[str, str]:
    """Path -> state, as ``--list --json`` says."""
    listed = json.loads(run("--root", root, "--list", "--json", *tools).output)
    return {str(Path(one["path"]).relative_to(root)): one["state"] for one in listed}


def test_every_file_of_ours_is_put_where_its_tool_looks_for_it(root: Path) -> None:
    assert run("--root", root, *TOOLS).exit_code == 0
    files = content(root)
    del files["usr/bin/bootselect"]
    assert set(files) == {
        "etc/initramfs-tools/hooks/bootselect",
        "etc/initramfs-tools/scripts/bootselect",
        "usr/lib/dracut/modules.d/90bootselect/module-setup.sh",
        "usr/lib/dracut/modules.d/90bootselect/mount-bootselect.sh",
        "usr/lib/dracut/modules.d/90bootselect/parse-bootselect.sh",
        "etc/systemd/system/bootselect-health.service",
        "etc/systemd/system/bootselect-mark-good.service",
        "etc/systemd/system/boot-complete.target.requires/bootselect-health.service",
        "etc/systemd/system/multi-user.target.wants/bootselect-mark-good.service",
    }
    for tool in TOOLS.values():
        for source in (path for path in (SOURCES / tool.source).rglob("*") if path.is_file()):
            put = files[f"{tool.target}/{source.relative_to(SOURCES / tool.source)}"][0]
            assert put.startswith(source.read_text()), source
    # mkinitramfs runs hooks that are executable and leaves out the others; it reads scripts.
    assert files[str(HOOK)][1] == 0o100755
    assert files["etc/initramfs-tools/scripts/bootselect"][1] == 0o100644


def test_the_units_are_linked_as_systemctl_enables_them(root: Path, tmp_path: Path) -> None:
    run("--root", root, "systemd")
    by_systemctl = tmp_path / "other"
    units = by_systemctl / "etc/systemd/system"
    units.mkdir(parents=True)
    for unit in (SOURCES / "systemd").iterdir():
        (units / unit.name).write_text(unit.read_text())
    names = [unit.name for unit in units.iterdir()]
    subprocess.run(["systemctl", f"--root={by_systemctl}", "enable", *names], check=True, capture_output=True)
    links = [{path: to for path, (to, _) in content(one).items() if to.startswith("/")} for one in (root, by_systemctl)]
    assert len(links[1]) == 2
    assert links[0] == links[1]


def test_a_second_run_writes_nothing_and_removing_leaves_nothing_behind(root: Path) -> None:
    before = content(root)
    run("--root", root, *TOOLS)
    first = content(root)
    assert "everything is in place" in run("--root", root, *TOOLS).output
    assert content(root) == first
    assert set(states(root).values()) == {"in place"}
    assert run("--root", root, "--remove", *TOOLS).exit_code == 0
    assert content(root) == before
    assert not (root / DRACUT).exists()
    assert not list(root.rglob("*.wants")) + list(root.rglob("*.requires"))
    assert set(states(root).values()) == {"not there"}
    assert "nothing is there" in run("--root", root, "--remove", *TOOLS).output


def test_one_tool_is_served_without_the_others(root: Path) -> None:
    run("--root", root, "dracut")
    assert {path for path, state in states(root).items() if state == "in place"} == {
        f"{DRACUT}/{name}" for name in ("module-setup.sh", "mount-bootselect.sh", "parse-bootselect.sh")
    }


def test_a_changed_file_is_named_and_nothing_is_written_over_it_or_beside_it(root: Path) -> None:
    run("--root", root, "dracut", "systemd")
    unit = root / UNIT
    unit.write_text(unit.read_text().replace("TimeoutStartSec=10min", "TimeoutStartSec=1min"))
    before = content(root)
    result = run("--root", root, *TOOLS)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert f"{unit}: changed" in result.stderr
    assert content(root) == before
    assert states(root)[str(UNIT)] == "changed"


def test_removing_leaves_what_was_changed_and_says_so(root: Path) -> None:
    run("--root", root, *TOOLS)
    unit = root / UNIT
    unit.write_text(f"{unit.read_text()}# mine\n")
    result = run("--root", root, "--remove", *TOOLS)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert str(unit) in result.stderr
    assert set(content(root)) == {"usr/bin/bootselect", str(UNIT)}
    assert unit.read_text().endswith("# mine\n")


@pytest.mark.parametrize("other", ["link", "folder", "masked", "no bytes", "switched off"])
def test_what_is_no_file_of_ours_is_not_replaced(root: Path, other: str) -> None:
    run("--root", root, "initramfs-tools")
    path = root / (UNIT if other == "masked" else HOOK)
    path.parent.mkdir(parents=True, exist_ok=True)
    if other == "switched off":
        path.chmod(0o644)
    else:
        path.unlink(missing_ok=True)
    if other == "folder":
        path.mkdir()
    elif other == "no bytes":
        path.touch()
    elif other in {"link", "masked"}:
        path.symlink_to("/bin/true" if other == "link" else "/dev/null")
    for arguments in ([], ["--remove"]):
        result = run("--root", root, *arguments, "initramfs-tools", "systemd")
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
        assert f"{path}: changed" in result.stderr
        assert os.path.lexists(path)


def test_files_of_another_version_are_replaced(root: Path) -> None:
    run("--root", root, "initramfs-tools")
    current = content(root)
    programs = Programs("/opt/old version/bin/python3")
    run("--root", root, "--remove", "initramfs-tools")
    integrate([TOOLS["initramfs-tools"]], root, programs)
    assert states(root, "initramfs-tools")[str(HOOK)] == "of another version"
    assert f"{root / HOOK}: replaced" in run("--root", root, "initramfs-tools").output
    assert content(root) == current


def test_what_a_package_of_the_distribution_has_put_there_is_left_to_it(root: Path) -> None:
    packaged = root / "usr/share/initramfs-tools"
    for name in ("hooks/bootselect", "scripts/bootselect"):
        (packaged / name).parent.mkdir(parents=True)
        (packaged / name).write_text((SOURCES / "initramfs-tools" / name).read_text())
    for source in (SOURCES / "dracut/90bootselect").iterdir():
        (root / DRACUT).mkdir(parents=True, exist_ok=True)
        (root / DRACUT / source.name).write_text(source.read_text())
        (root / DRACUT / source.name).chmod(0o755)
    before = content(root)
    assert "everything is in place" in run("--root", root, "initramfs-tools", "dracut").output
    removed = run("--root", root, "--remove", "initramfs-tools", "dracut")
    assert removed.exit_code == 0
    assert removed.output.count("left: put there by a package or by hand") == 5
    assert content(root) == before
    found = states(root, "initramfs-tools", "dracut")
    assert set(found.values()) == {"in place, by a package or by hand"}
    assert "usr/share/initramfs-tools/hooks/bootselect" in found


@pytest.mark.parametrize("folder", ["lib", "usr/lib"])
def test_units_of_a_package_that_are_enabled_stay_so(root: Path, folder: str) -> None:
    units, wants = root / "usr/lib/systemd/system", root / "etc/systemd/system/multi-user.target.wants"
    units.mkdir(parents=True)
    wants.mkdir(parents=True)
    for source in (SOURCES / "systemd").iterdir():
        (units / source.name).write_text(source.read_text())
    (wants / "bootselect-mark-good.service").symlink_to(f"/{folder}/systemd/system/bootselect-mark-good.service")
    before = content(root)
    assert set(states(root, "systemd").values()) == {"in place, by a package or by hand"}
    assert run("--root", root, "systemd").exit_code == 0
    assert run("--root", root, "--remove", "systemd").exit_code == 0
    assert content(root) == before


def test_the_hooks_run_this_interpreter_and_the_units_the_command_beside_it(tmp_path: Path) -> None:
    programs = Programs("/opt/my env/bin/python3", "/opt/my 50% env/bin/bootselect")
    (tmp_path / "opt/my 50% env/bin").mkdir(parents=True)
    (tmp_path / "opt/my 50% env/bin/bootselect").touch()
    integrate(TOOLS.values(), tmp_path, programs)
    assert "'/opt/my env/bin/python3' -m bootselect.integration.stage" in (tmp_path / HOOK).read_text()
    setup = (tmp_path / DRACUT / "module-setup.sh").read_text()
    assert "'/opt/my env/bin/python3' -m bootselect.integration.stage" in setup
    assert 'ExecStart="/opt/my 50%% env/bin/bootselect" health' in (tmp_path / UNIT).read_text()
    # In the initramfs the interpreter has its usual place.
    assert "/usr/bin/python3 -I -S -B -c" in (tmp_path / DRACUT / "mount-bootselect.sh").read_text()


def test_a_unit_with_a_command_at_an_odd_place_is_understood_by_systemd(tmp_path: Path) -> None:
    command = tmp_path / "my 50% env/bootselect"
    command.parent.mkdir()
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    root = tmp_path / "root"
    (root / str(command).lstrip("/")).parent.mkdir(parents=True)
    (root / str(command).lstrip("/")).touch()
    integrate([TOOLS["systemd"]], root, Programs(bootselect=str(command)))
    units = [str(path) for path in (root / "etc/systemd/system").glob("*.service")]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_units_for_a_command_that_is_not_there_are_refused(tmp_path: Path) -> None:
    result = run("--root", tmp_path, *TOOLS)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert f"{tmp_path}/usr/bin/bootselect: not there" in result.stderr
    assert content(tmp_path) == {}
    assert run("--root", tmp_path, "--list").exit_code == 0


def test_a_link_that_leads_out_of_the_root_is_not_followed(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / "etc").mkdir()
    (root / "etc/initramfs-tools").symlink_to(outside)
    result = run("--root", root, "dracut", "initramfs-tools")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert f"leads out of {root}" in result.stderr
    assert list(outside.iterdir()) == []
    assert not (root / DRACUT).exists()


def test_a_place_that_cannot_be_written_is_named(root: Path) -> None:
    (root / "etc").write_text("")
    result = run("--root", root, "initramfs-tools")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert f"{root}/etc/initramfs-tools" in result.stderr


@pytest.mark.parametrize(
    "words",
    [[], ["--remove"], ["--remove", "--list", "dracut"], ["--json", "dracut"], ["grub"], ["--root", "/nowhere"]],
)
def test_what_is_no_use_of_it_is_a_usage_error(words: list[str]) -> None:
    assert run(*words).exit_code == 2


def test_for_the_running_system_it_is_the_interpreter_that_runs_this() -> None:
    programs = programs_of(Path("/"))
    assert re.fullmatch("/.*/python[0-9.]*", programs.python)
    assert Path(programs.bootselect).parent == Path(programs.python).parent
