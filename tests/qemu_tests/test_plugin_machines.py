"""The machines of tests: whose files are whose, what stays, what a failure shows, and where the console logs are."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.qemu_tests.inner_pytest import IMAGE, inner_pytest

BOOTS = """
def boots(machines, *arguments):
    machine = machines(*arguments)
    machine.boot()
    machine.wait_until_ready()
    return machine
"""
WORKERS = pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one process", "xdist"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "conftest.py").write_text(IMAGE)
    return tmp_path


def options(folder: Path) -> list[str]:
    return [f"--basetemp={folder}/run", f"--slotboot-logs={folder}/logs"]


def names(folder: Path) -> list[str]:
    """What stands in a folder; nothing where it is missing."""
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


SAME = (
    BOOTS
    + """
def test_same(slotboot_machines, image):
    boots(slotboot_machines, image)

class TestOne:
    def test_same(self, slotboot_machines, image):
        boots(slotboot_machines, image, "client")
        boots(slotboot_machines, image)

class TestTwo:
    def test_same(self, slotboot_machines, image):
        boots(slotboot_machines, image, "client")

@pytest.mark.parametrize("step", [f"{n}-3" for n in (1, 2, 3)])
def test_repeated(slotboot_machines, image, step):
    boots(slotboot_machines, image, "client")

@pytest.mark.parametrize("odd", range(9), ids=["a/b", "a b", "../..", "a:b", "a::b[c]", "x" * 300, "x" * 301, "-", "+"])
def test_odd(slotboot_machines, image, odd):
    boots(slotboot_machines, image)
"""
)


@pytest.mark.slow
@WORKERS
def test_tests_of_one_name_have_machines_of_their_own(folder: Path, workers: tuple[str, ...]) -> None:
    (folder / "deep").mkdir()
    for module in ("test_a.py", "test_b.py", "deep/test_a.py"):
        (folder / module).write_text(f"import pytest\n{SAME}")
    said = inner_pytest(folder, *options(folder), "--import-mode=importlib", *workers)
    assert "45 passed" in said
    logs = names(folder / "logs")
    assert {"test_a-test_same", "test_b-test_same", "deep-test_a-test_same", "test_a-TestOne-test_same"} <= set(logs)
    assert {"test_a-test_repeated-1-3", "test_a-test_repeated-3-3"} <= set(logs)
    assert len(logs) == 45
    assert names(folder / "logs/test_a-TestOne-test_same") == ["client.console.log", "same-2.console.log"]
    assert max(map(len, logs)) <= 100
    assert len([name for name in logs if re.fullmatch(r"test_a-test_odd-x{70,}-[0-9a-f]{8}", name)]) == 4


@pytest.mark.slow
def test_a_test_that_is_run_again_has_new_files(folder: Path) -> None:
    text = (
        BOOTS
        + """
tries = []
def test_flaky(slotboot_machines, image):
    boots(slotboot_machines, image, "client")
    tries.append(1)
    assert len(tries) == 3
"""
    )
    said = inner_pytest(folder, *options(folder), "--reruns=2", text=text)
    assert "1 passed, 2 rerun" in said
    tries = ["test_inner-test_flaky", "test_inner-test_flaky-2", "test_inner-test_flaky-3"]
    assert names(folder / "logs") == tries
    assert names(folder / "run/slotboot/machines") == tries[:2]


@pytest.mark.slow
@WORKERS
def test_the_files_of_a_machine_go_when_its_test_passed_and_its_log_stays(
    folder: Path, workers: tuple[str, ...]
) -> None:
    text = (
        BOOTS
        + """
def test_passes(slotboot_machines, image):
    assert boots(slotboot_machines, image).folder.is_dir()

def test_fails(slotboot_machines, image):
    boots(slotboot_machines, image)
    assert False
"""
    )
    inner_pytest(folder, *options(folder), *workers, text=text)
    assert names(folder / "run/slotboot/machines") == ["test_inner-test_fails"]
    assert "disk.durable" in names(folder / "run/slotboot/machines/test_inner-test_fails/fails")
    assert names(folder / "logs") == ["test_inner-test_fails", "test_inner-test_passes"]
    inner_pytest(folder, *options(folder), "--slotboot-keep", *workers, text=text)
    assert len(names(folder / "run/slotboot/machines")) == 2


@pytest.mark.slow
@WORKERS
def test_junit_has_the_paths_of_the_console_logs(folder: Path, workers: tuple[str, ...]) -> None:
    text = (
        BOOTS
        + """
def test_passes(slotboot_machines, image):
    boots(slotboot_machines, image)
    boots(slotboot_machines, image)

def test_fails(slotboot_machines, image):
    boots(slotboot_machines, image)
    assert False

@pytest.fixture
def machine(slotboot_machines, image):
    yield slotboot_machines(image)
    assert False

def test_fails_at_its_end(machine):
    pass

def test_has_none():
    pass
"""
    )
    inner_pytest(folder, *options(folder), "--junit-xml=junit.xml", *workers, text=f"import pytest\n{text}")
    found = {
        case.attrib["name"]: {Path(entry.attrib["value"]).name for entry in case.iter("property")}
        for case in ET.parse(folder / "junit.xml").getroot().iter("testcase")  # noqa: S314  # pytest wrote it
    }
    assert found == {
        "test_passes": {"passes.console.log", "passes-2.console.log"},
        "test_fails": {"fails.console.log"},
        "test_fails_at_its_end": {"fails_at_its_end.console.log"},
        "test_has_none": set(),
    }


@pytest.mark.slow
def test_a_failure_shows_the_lines_of_the_test_and_one_error(folder: Path) -> None:
    text = (
        BOOTS
        + """
def helper(machine):
    machine.run("die")

def test_in_a_helper(slotboot_machines, image):
    helper(boots(slotboot_machines, image))

def test_while_handling(slotboot_machines, image):
    machine = boots(slotboot_machines, image)
    try:
        raise ValueError("of the test itself")
    except ValueError:
        machine.wait_for_line("never", 0.01)

def test_in_a_fixture(slotboot_machine):
    pass

def test_not_ours(slotboot_machines, image):
    raise KeyError("word") from ValueError("of the test itself")
"""
    )
    said = inner_pytest(folder, *options(folder), "--slotboot-image=no.raw", text=text)
    shown, others = said.split("test_not_ours _", 1)
    assert re.findall(r"^E   \s*(qemu_tests\S+)", shown, re.MULTILINE) == [
        "qemu_tests.errors.ImageError:",
        "qemu_tests.errors.MachineDiedError:",
        "qemu_tests.errors.ConsoleTimeoutError:",
    ]
    assert 'machine.run("die")' in shown
    assert set(re.findall(r"^(\S+\.py):\d+:", shown, re.MULTILINE)) == {"test_inner.py"}
    for word in ("During handling", "direct cause", "harness/"):
        assert word not in shown, word
    assert "direct cause" in others
    full = inner_pytest(folder, *options(folder), "--full-trace", "-k", "helper", text=text)
    assert "qemu_tests/harness/" in full


@pytest.mark.slow
def test_all_machines_are_switched_off_also_when_that_fails(folder: Path) -> None:
    text = (
        BOOTS
        + """
from qemu_tests.errors import LabError

def fail(machine):
    close = machine.close
    def closing():
        close()
        raise LabError(f"{machine.name} cannot be closed")
    return closing

def test_closes(slotboot_machines, image):
    machines = [boots(slotboot_machines, image, f"m{number}") for number in range(4)]
    for machine in machines[:2]:
        machine.close = fail(machine)
    states.extend(machines)

states = []

def test_all_are_off():
    assert [machine.state for machine in states] == ["off"] * 4
"""
    )
    said = inner_pytest(folder, *options(folder), text=text)
    assert "2 passed, 1 error" in said
    assert re.findall(r"^E? +(.*cannot be closed)$", said, re.MULTILINE) == [
        "qemu_tests.errors.LabError: m0 cannot be closed",
        "and m1 cannot be closed",
    ]
    assert names(folder / "run/slotboot/machines/test_inner-test_closes") == ["m0", "m1", "m2", "m3"]


SHARED = (
    BOOTS
    + """
@pytest.fixture(scope="module")
def server(slotboot_module_machines, tmp_path_factory):
    path = tmp_path_factory.mktemp("image") / "disk.raw"
    path.write_bytes(bytes(4 << 20))
    return boots(slotboot_module_machines, path, "server")

@pytest.mark.parametrize("number", range(4))
def test_shares(server, slotboot_machines, image, number):
    assert server.state == boots(slotboot_machines, image).state == "on"

def test_is_alone():
    pass
"""
)


@pytest.mark.slow
@WORKERS
def test_modules_and_sessions_have_machines_too(folder: Path, workers: tuple[str, ...]) -> None:
    for module in ("test_a.py", "test_b.py"):
        (folder / module).write_text(f"import pytest\n{SHARED}")
    (folder / "test_c.py").write_text(
        BOOTS
        + """
def test_last(slotboot_session_machines, image):
    boots(slotboot_session_machines, image)
    assert False
"""
    )
    said = inner_pytest(folder, *options(folder), "--junit-xml=junit.xml", *workers)
    assert "1 failed, 10 passed" in said
    assert {"test_a", "test_b", "session"} <= set(names(folder / "logs"))
    assert names(folder / "run/slotboot/machines") == ["session"]
    cases = {
        case.attrib["name"]: [Path(entry.attrib["value"]).name for entry in case.iter("property")]
        for case in ET.parse(folder / "junit.xml").getroot().iter("testcase")  # noqa: S314  # pytest wrote it
    }
    assert sorted(cases["test_shares[0]"]) == ["server.console.log", "shares-0.console.log"]
    assert cases["test_is_alone"] == []
    assert cases["test_last"] == ["machine.console.log"]


@pytest.mark.slow
def test_paths_may_be_words_and_are_those_of_the_command_line(folder: Path) -> None:
    (folder / "given.raw").write_bytes(bytes(4 << 20))
    text = (
        BOOTS
        + """
def test_moves(slotboot_machines, slotboot_machine, image, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    boots(slotboot_machines, str(image))
    (tmp_path / "here.raw").symlink_to(image)
    boots(slotboot_machines, "here.raw")
    assert slotboot_machine.state == "off"
"""
    )
    words = [f"--basetemp={folder}/run", "--slotboot-logs=logs", "--slotboot-image=given.raw"]
    assert "1 passed" in inner_pytest(folder, *words, text=text)
    assert names(folder / "logs") == ["test_inner-test_moves"]


@pytest.mark.slow
def test_paths_may_be_long(folder: Path) -> None:
    long = folder / ("a" * 200) / ("b" * 200)
    long.mkdir(parents=True)
    text = (
        BOOTS
        + """
def test_boots(slotboot_machines, image):
    machine = boots(slotboot_machines, image)
    assert machine.run("hello").exit == 0
    machine.reboot()
    machine.resume()
    machine.wait_until_ready()

"""
    )
    assert "1 passed" in inner_pytest(folder, f"--basetemp={long}/run", f"--slotboot-logs={long}/logs", text=text)
    assert names(long / "logs/test_inner-test_boots") == ["boots.console.log"]


NO_OVERRIDE = ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override")
"""Root obeys the permissions of files then."""


@pytest.mark.slow
def test_images_and_their_folder_may_be_read_only(folder: Path) -> None:
    images = folder / "images"
    images.mkdir()
    (images / "disk.raw").write_bytes(bytes(4 << 20))
    (images / "disk.raw").chmod(0o444)
    images.chmod(0o555)
    text = BOOTS + "\ndef test_boots(slotboot_machines):\n    boots(slotboot_machines, 'images/disk.raw')\n"
    assert "1 passed" in inner_pytest(folder, *options(folder), text=text, prefix=NO_OVERRIDE)


@pytest.mark.slow
def test_a_folder_for_logs_that_cannot_be_written_is_one_line(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o555)
    for logs in (closed, closed / "new"):
        text = "def test_boots(slotboot_machines, image):\n    slotboot_machines(image)\n"
        said = inner_pytest(folder, f"--slotboot-logs={logs}", text=text, prefix=NO_OVERRIDE, fails=True)
        errors = re.findall(r"^E +([^ \[].*)$", said, re.MULTILINE)
        line = f"{logs}: no files can be made there: Permission denied; choose another folder"
        assert errors == [f"qemu_tests.errors.UnwritableFolderError: {line}"]


def ended(pid: str) -> bool:
    """Whether a process is gone, or at least dead: whoever has inherited it may take its time."""
    try:
        state = Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state in {"Z", "X"}


@pytest.mark.slow
def test_a_worker_that_crashes_leaves_its_test_to_be_run_again(folder: Path) -> None:
    text = (
        BOOTS
        + """
import os, signal

def test_crashes(slotboot_machines, image):
    machine = boots(slotboot_machines, image, "client")
    mark = Path(__file__).with_name("crashed")
    if not mark.exists():
        mark.write_text(str(machine._boot.qemu.pid))
        os.kill(os.getpid(), signal.SIGKILL)
"""
    )
    said = inner_pytest(folder, *options(folder), "-n", "1", "--reruns=1", text=f"from pathlib import Path\n{text}")
    assert "1 passed, 1 rerun" in said
    assert names(folder / "logs") == ["test_inner-test_crashes", "test_inner-test_crashes-2"]
    assert ended((folder / "crashed").read_text())
