"""Which release a machine takes, and what it says where it takes none."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gptlib import type_guid
from update_agent.agent.choice import Identity, Nothing, Wish, choose
from update_agent.agent.waves import opens, place_of
from update_agent.boot_chain import BootChain
from update_agent.repository.release import Release, Target, Wave
from update_agent.state.machine import KnownBad

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
ME = Identity("os", "1.0", "stable", type_guid("coreos-usr"), "0123456789abcdef0123456789abcdef")
DAY = timedelta(days=1)


def release(version: str, **changes: Any) -> Release:  # noqa: ANN401
    plain = Release(
        name="os", version=version, slot="usr", slot_type=type_guid("coreos-usr"), groups=("stable",), size=1, sha256="0" * 64,
        index=Target(f"os_{version}_usr.index", 1, "0" * 64), blob=f"{'0' * 64}.frames", compressed=1, kernel_releases=(),
        own_kernel=False, root_hash=None, minimum_version=None, published=NOW, waves=(), deltas=(),
    )  # fmt: skip
    return replace(plain, **changes)


def chosen(*releases: Release, me: Identity = ME, bad: dict[str, str] | None = None, **wish: Any) -> str:  # noqa: ANN401
    known = {version: KnownBad(version, reason, NOW - DAY) for version, reason in (bad or {}).items()}
    found = choose(releases, me, known.get, NOW, Wish(**wish))
    return f"no: {found.reason}" if isinstance(found, Nothing) else found.version


def test_the_newest_is_taken_whatever_the_order() -> None:
    assert chosen(release("1.2"), release("1.10"), release("1.9")) == "1.10"


@pytest.mark.parametrize(
    ("releases", "reason"),
    [
        ([], "nothing is published for os and slots of type"),
        ([release("1.1", name="other")], "nothing is published for os and slots of type"),
        ([release("1.1", slot_type=type_guid("chromeos-kernel"))], "nothing is published for os and slots of type"),
        ([release("1.0")], "1.0 runs, and nothing newer is published in the group stable"),
        ([release("0.9")], "1.0 runs, and nothing newer is published in the group stable"),
        ([release("1.1", groups=("alpha", "beta"))], "1.1 is in the group alpha, beta, and this machine in stable"),
        ([release("0.9", groups=("beta",))], "nothing is published in the group stable; 1.0 runs"),
        ([release("2", minimum_version="1.5")], "2 needs version 1.5 first, and 1.0 runs"),
        (
            [release("1.1", waves=(Wave(NOW + DAY, 100),))],
            "1.1 is not for this machine before its wave, 2026-12-02 12:00 UTC",
        ),
        ([release("1.1", waves=(Wave(NOW - DAY, 0),))], "1.1 is not for this machine: none of its waves reaches it"),
        (
            [release("1.1"), release("1.1", slot="other")],
            "1.1 is published for several slots of this type: other, usr",
        ),
    ],
)
def test_it_says_why_there_is_nothing(releases: list[Release], reason: str) -> None:
    assert chosen(*releases).startswith(f"no: {reason}")


def test_one_that_was_rolled_back_is_passed_over_until_there_is_a_newer_one() -> None:
    bad = {"1.2": "it never proved itself"}
    assert chosen(release("1.2"), bad=bad) == (
        "no: 1.2 is not taken again: 2026-11-30 12:00 UTC: it never proved itself"
    )
    assert chosen(release("1.2"), release("1.1"), bad=bad) == "1.1"
    assert chosen(release("1.2"), release("1.3"), bad=bad) == "1.3"
    assert chosen(release("1.2"), bad=bad, version="1.2").startswith("no: 1.2 is not taken again")
    assert chosen(release("1.2"), bad=bad, version="1.2", again=True) == "1.2"


def test_an_older_one_that_may_be_taken_goes_before_a_newer_one_that_may_not() -> None:
    assert chosen(release("3", minimum_version="2"), release("2"), release("1.5")) == "2"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kernel_releases": ("6.1.0-42",)}, "no: 1.1 cannot run here: it has modules for kernel 6.1.0-42"),
        ({"kernel_releases": ("6.1.0-41", "6.1.0-42")}, "1.1"),
        ({"kernel_releases": ()}, "1.1"),
    ],
)
def test_one_that_the_kernel_cannot_run_is_not_taken(changes: dict[str, Any], reason: str) -> None:
    me = replace(ME, chain=BootChain("6.1.0-41", hands_over=False))
    assert chosen(release("1.1", **changes), me=me).startswith(reason)


def test_a_person_takes_what_group_and_waves_would_not() -> None:
    waiting = release("1.1", groups=("alpha",), waves=(Wave(NOW + DAY, 1),))
    assert chosen(waiting, version="1.1") == "1.1"
    assert chosen(release("2", minimum_version="1.5"), version="2").startswith("no: 2 needs version 1.5 first")
    assert chosen(release("1.1"), version="7").startswith("no: 7 is not published for os")
    assert chosen(release("1.0"), version="1.0") == "no: 1.0 runs already"


def test_a_downgrade_wants_its_word() -> None:
    assert chosen(release("0.9"), version="0.9") == "no: 0.9 is older than 1.0, which runs; --downgrade takes it"
    assert chosen(release("0.9"), version="0.9", downgrade=True) == "0.9"


def test_waves_reach_as_many_machines_as_they_say_and_others_for_each_release() -> None:
    machines = [f"{number:032x}" for number in range(4000)]
    first = {one for one in machines if place_of(one, "os", "1.1") < 10}
    second = {one for one in machines if place_of(one, "os", "1.2") < 10}
    # 4000 draws of 10 %: six standard deviations are 114.
    assert 286 < len(first) < 514
    assert 286 < len(second) < 514
    assert len(first & second) < 100
    assert {one for one in machines if place_of(one, "os", "1.1") < 10} == first


def test_the_places_are_spread_evenly() -> None:
    tenths = Counter(int(place_of(f"{number:032x}", "os", "1") // 10) for number in range(5000))
    # Chi-squared with nine degrees of freedom: 40 is exceeded once in 100,000.
    assert sum((tenths[tenth] - 500) ** 2 / 500 for tenth in range(10)) < 40


def test_who_has_no_machine_id_comes_last() -> None:
    assert opens((Wave(NOW, 99), Wave(NOW + DAY, 100)), place_of("", "os", "1")) == NOW + DAY
