"""Full and broken disks, two agents at once, wrong clocks, lost state, machines that were off for long, and people."""

from __future__ import annotations

import errno
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.update_agent.agent.fleet import Box
from tests.update_agent.agent.test_killed import must_be_whole
from update_agent.agent.cancelling import cancel
from update_agent.agent.choice import Wish
from update_agent.agent.errors import (
    CancelledError,
    NothingToCancelError,
    NothingToTakeError,
    NotNowError,
    NotProvedError,
)
from update_agent.agent.loop import Loop, Timetable
from update_agent.agent.obtaining import obtain
from update_agent.agent.session import session_of
from update_agent.agent.steps import Ears
from update_agent.agent.wanting import Outcome, wait_for
from update_agent.agent.world import CANCEL
from update_agent.errors import UpdateError
from update_agent.repository.errors import ExpiredError
from update_agent.state.errors import StateBusyError, StateWriteError
from update_agent.state.files import SystemFiles
from update_agent.state.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.update_agent.agent.fleet import Repo
    from tests.update_agent.repository.world import Hand

CALLS = ("create", "append", "write", "fsync", "rename", "make_folder")


class Failing(SystemFiles):
    """The call number ``at`` (from 1) fails, and ``lasting`` ones all after it, too. 0: none."""

    def __init__(self, at: int, error: int, *, lasting: bool) -> None:
        self.calls, self._at, self._error, self._lasting = 0, at, error, lasting
        for name in CALLS:
            setattr(self, name, self._watched(name, getattr(self, name)))

    def _watched(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:  # noqa: ANN401
            self.calls += 1
            if self.calls == self._at or (self._lasting and 0 < self._at < self.calls):
                path = next((one for one in arguments if isinstance(one, str)), name)
                raise OSError(self._error, errno.errorcode[self._error], path)
            return real(*arguments)

        return call


@pytest.mark.slow
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
def test_an_error_at_any_write_of_the_state_leaves_a_machine_that_gets_there(
    tmp_path: Path, repo: Repo, hand: Hand, error: int, lasting: bool, record_property: Callable[[str, object], None]
) -> None:
    repo.publish("1.1", since="1.0")

    def box_at(at: int) -> tuple[Box, Failing]:
        folder = tmp_path / f"box{at}"
        folder.mkdir()
        box, files = Box(folder, repo, hand), Failing(at, error, lasting=lasting)
        box.fill("0.9")
        box.files = files
        return box, files

    first, counting = box_at(0)
    first.tick()
    assert counting.calls > 40
    failed = 0
    for at in range(1, counting.calls + 1):
        box, _ = box_at(at)
        before = box.disk.read_bytes()
        try:
            box.tick()
        except (UpdateError, OSError) as problem:
            failed += 1
            assert errno.errorcode[error] in str(problem) or isinstance(problem, UpdateError)
        must_be_whole(box, before)
        box.files = None
        box.live()
        assert (box.version, box.state) == ("1.1", "idle")
        shutil.rmtree(box.place)
    assert failed > counting.calls // 2
    record_property("counted", f"writes of the state that failed: {counting.calls}")


def test_a_version_whose_trial_cannot_be_noted_is_not_armed(box: Box, repo: Repo) -> None:
    repo.publish("1.1")
    box.broken.add("1.1")

    class Full(SystemFiles):
        def create(self, path: str) -> int:
            if Store(box.settings.state_folder).load(box.hand.date).state == "verifying":
                raise OSError(errno.ENOSPC, "no space", path)
            return super().create(path)

    box.files = Full()
    for _ in range(3):
        with pytest.raises(StateWriteError):
            box.tick()
    assert box.attributes()["1.1"] == "0/0/0"


def test_two_agents_at_once(box: Box, repo: Repo) -> None:
    repo.publish("1.1")
    with box.session(), pytest.raises(StateBusyError):
        box.tick()
    box.tick()
    assert box.state == "rebooting"


@pytest.mark.parametrize("year", [1970, 2099])
def test_a_clock_that_is_wrong_takes_nothing_that_is_not_signed_for_now(box: Box, repo: Repo, year: int) -> None:
    repo.publish("1.1")
    right = box.hand.date
    box.hand.date = right.replace(year=year)
    disk = box.disk.read_bytes()
    if year == 1970:
        # Before the build: the date of the build counts, and by that all of it holds.
        box.live()
        assert box.version == "1.1"
    else:
        with pytest.raises(ExpiredError):
            box.tick()
        assert box.disk.read_bytes() == disk
        assert "expired" in box.machine.reason
        box.hand.date = right
        box.live()
        assert box.version == "1.1"


def test_a_wiped_state_starts_over(box: Box, repo: Repo) -> None:
    repo.publish("1.1")
    box.live()
    shutil.rmtree(box.settings.state_folder)
    shutil.rmtree(box.place / "tuf")
    repo.publish("1.2", since="1.1")
    box.live()
    assert box.version == "1.2"


def test_a_wiped_state_in_the_middle_of_a_trial_still_sees_the_rollback(box: Box, repo: Repo) -> None:
    repo.publish("1.1")
    box.tick()
    (box.place / "state/state.json").unlink()
    box.broken.add("1.1")
    box.boot()
    box.tick()
    assert [bad.version for bad in box.machine.bad] == ["1.1"]


def test_a_machine_from_the_shelf_two_releases_and_two_rotations_behind(box: Box, repo: Repo) -> None:
    repo.publish("1.1")
    repo.publisher.rotate("root")
    repo.publisher.rotate("targets")
    repo.publish("1.2", since="1.1")
    repo.publisher.rotate("timestamp")
    repo.publisher.rotate("snapshot")
    repo.publisher.rotate("root")
    box.live()
    assert box.version == "1.2"


def test_a_failed_check_says_why_and_the_next_one_comes(box: Box, repo: Repo) -> None:
    repo.publish("1.1")
    away = repo.folder.rename(repo.folder.parent / "away")
    with pytest.raises(UpdateError):
        box.tick()
    assert box.state == "idle"
    assert box.machine.reason
    away.rename(repo.folder)
    box.live()
    assert box.version == "1.1"


# People


def install(box: Box, wish: Wish | None = None, ears: Ears | None = None) -> Outcome:
    with box.session() as session:
        return obtain(session, wish or Wish(), ears).outcome


def test_a_download_is_cancelled_not_begun_again_and_resumed(box: Box, repo: Repo) -> None:
    repo.publish("1.1")

    def report(what: str, done: int, total: int) -> None:
        del what, done, total
        (box.world.folder / CANCEL).touch()

    with pytest.raises(CancelledError):
        install(box, ears=Ears(report))
    assert (box.state, box.attributes()["1.0"]) == ("idle", "1/0/1")
    box.later(hours=1)
    box.tick()
    assert not box.rebooting
    assert box.machine.reason.startswith("1.1 is not taken again")
    assert box.machine.reason.endswith("cancelled by a person")
    with box.session() as session:
        session.forget("1.1")
    box.live()
    assert box.version == "1.1"


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_an_interrupted_download_is_in_nobodys_way(box: Box, repo: Repo, version: str) -> None:
    repo.publish("1.1")
    repo.publish("1.2")

    class Killed(BaseException):
        pass

    def report(what: str, done: int, total: int) -> None:
        del what, done, total
        raise Killed

    with pytest.raises(Killed):
        install(box, Wish("1.1"), Ears(report))
    assert box.state == "downloading"
    assert install(box, Wish(version)) is Outcome.INSTALLED
    assert box.attributes()[version] == "2/3/0"


def test_an_armed_update_is_cancelled(box: Box, repo: Repo) -> None:
    repo.publish("1.1")
    assert install(box) is Outcome.INSTALLED
    machine = cancel(box.world, 1)
    assert (machine.state, machine.reason) == ("idle", "cancelled by a person")
    assert box.attributes() == {"1.0": "1/0/1", "1.1": "0/0/0"}
    box.boot()
    assert box.version == "1.0"
    box.tick()
    assert not box.rebooting


def test_there_may_be_nothing_to_cancel(box: Box, repo: Repo) -> None:
    with pytest.raises(NothingToCancelError):
        cancel(box.world, 1)
    repo.publish("1.1")
    box.tick()
    box.boot()
    with pytest.raises(NotNowError, match="bootselect rollback"):
        cancel(box.world, 1)


def test_who_waits_for_a_session_to_cancel_it_gets_it(box: Box, repo: Repo) -> None:
    repo.publish("1.1")
    with box.session(), pytest.raises(StateBusyError):
        cancel(box.world, 1)
    assert (box.world.folder / CANCEL).exists()
    assert install(box) is Outcome.INSTALLED, "what was meant for an earlier session does not stop this one"


def test_a_version_is_installed_waited_for_and_asked_for_again(box: Box, repo: Repo) -> None:
    repo.publish("1.1", group="alpha")
    assert install(box, Wish("1.1")) is Outcome.INSTALLED
    assert install(box, Wish("1.1")) is Outcome.ON_ITS_WAY
    with pytest.raises(NotNowError, match=r"1\.1 is installed and tried at the next boot"):
        install(box, Wish("1.2"))
    box.boot()
    box.prove()
    wait_for(box.world, "1.1", box.told.append)
    assert install(box, Wish("1.1")) is Outcome.RUNS


def test_waiting_for_a_version_that_is_rolled_back_ends(box: Box, repo: Repo) -> None:
    repo.publish("1.1")
    box.broken.add("1.1")
    assert install(box, Wish("1.1")) is Outcome.INSTALLED
    box.boot()
    with pytest.raises(NotProvedError, match=r"1\.1 is not in use: all tries are used up"):
        wait_for(box.world, "1.1", box.told.append)
    with pytest.raises(NothingToTakeError, match=r"1\.1 is not taken again"):
        install(box, Wish("1.1"))
    with pytest.raises(NothingToTakeError, match=r"1\.1 is not taken again"):
        install(box)
    box.broken.clear()
    assert install(box, Wish("1.1", again=True)) is Outcome.INSTALLED


def test_waiting_ends_where_somebody_cancels(box: Box, repo: Repo) -> None:
    repo.publish("1.1")
    install(box)
    cancel(box.world, 1)
    with pytest.raises(NotProvedError, match="cancelled by a person"):
        wait_for(box.world, "1.1", box.told.append)


# The service


def test_the_loop_checks_first_after_a_while_and_then_again_and_again(box: Box, repo: Repo) -> None:
    uptime = [100.0]
    table = Timetable(box.settings, lambda: uptime[0], lambda: 1.0)
    loop = Loop(lambda: box.world, table, tell=box.told.append)
    assert loop.once() == 320
    assert not box.seen
    uptime[0] = 420
    assert loop.once() == (45 + 10) * 60
    repo.publish("1.1")
    uptime[0] += 55 * 60
    assert loop.once() <= 60
    assert box.rebooting


def test_the_loop_goes_on_whatever_goes_wrong_and_says_it_once(box: Box, repo: Repo) -> None:
    uptime = [1000.0]
    loop = Loop(lambda: box.world, Timetable(box.settings, lambda: uptime[0]), tell=box.told.append)
    (repo.folder / "metadata/timestamp.json").unlink()
    for _ in range(3):
        uptime[0] += 3600
        loop.once()
    assert len(set(box.told)) == len(box.told) == 1
    with session_of(box.world):
        assert loop.once() == 30


def test_a_disabled_server_stops_everything_but_a_trial(box: Box, repo: Repo) -> None:
    repo.publish("1.1")
    box.settings = replace(box.settings, server="disabled")
    box.tick()
    assert box.machine.checked is None
