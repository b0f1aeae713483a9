"""The custom block of a target: each field of the wrong type, or out of its bounds, makes it no release."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.update_agent.repository.world import block
from update_agent.repository.errors import ReleaseError
from update_agent.repository.release import Delta, Target, Wave, delta_name, index_name, parse_release

INDEX = Target("os_1.0_usr.index", 100, "a" * 64)
DELTA = Target("os_0.9..1.0_usr.delta", 10, "b" * 64)
OTHERS = {target.name: target for target in (INDEX, DELTA)}
PUBLISHED = {"format": 1, "published": "2026-11-30T12:00:00Z", "waves": [], "deltas": []}
ONE_DELTA = {
    "from-version": "0.9",
    "from-sha256": "c" * 64,
    "target": DELTA.name,
    "blob": "d" * 64 + ".delta",
    "compressed": 5,
}


def full(**changes: object) -> dict[str, object]:
    return {**PUBLISHED, **block(), **{name.replace("_", "-"): value for name, value in changes.items()}}


def test_a_release_has_what_its_block_says() -> None:
    waves = [{"from": "2026-12-01T00:00:00Z", "percent": 10}, {"from": "2026-12-02T00:00:00Z", "percent": 100}]
    fields = full(
        waves=waves, deltas=[ONE_DELTA], groups=["alpha", "stable"], minimum_version="0.5", root_hash="ab" * 32
    )
    found = parse_release(INDEX, fields, OTHERS)
    assert (found.name, found.version, found.slot, found.index) == ("os", "1.0", "usr", INDEX)
    assert str(found.slot_type).lower() == "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6"
    assert (found.groups, found.minimum_version, found.root_hash) == (("alpha", "stable"), "0.5", "ab" * 32)
    assert found.published == datetime(2026, 11, 30, 12, tzinfo=UTC)
    assert found.waves[0] == Wave(datetime(2026, 12, 1, tzinfo=UTC), 10)
    assert found.deltas == (Delta("0.9", "c" * 64, DELTA, "d" * 64 + ".delta", 5),)
    assert (found.kernel_releases, found.own_kernel) == (("6.1.0-42-cloud-amd64",), False)


def test_fields_of_later_formats_are_left_alone() -> None:
    assert parse_release(INDEX, full(colour="blue"), OTHERS) == parse_release(INDEX, full(), OTHERS)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", 2), ("format", "1"), ("format", True), ("format", None),
        ("name", "os/../x"), ("name", ""), ("name", 5), ("name", "other"), ("name", "o_s"), ("name", "-os"),
        ("version", "1.1"), ("version", "../1"), ("version", None), ("slot", "root"), ("slot", "u.r"),
        ("slot-type", "esp"), ("slot-type", "nonsense"), ("slot-type", 1),
        ("groups", "alpha"), ("groups", ["alpha", "alpha"]), ("groups", [1]), ("groups", ["a b"]), ("groups", ["x"] * 1001), ("groups", None),
        ("size", 0), ("size", -1), ("size", 1 << 63), ("size", 1.5), ("size", "4096"), ("size", True),
        ("sha256", "A" * 64), ("sha256", "a" * 63), ("sha256", None), ("sha256", "a" * 64 + "\n"),
        ("compressed", 0), ("blob", "../../x"), ("blob", "a" * 64 + ".delta"), ("blob", "a" * 64), ("blob", ""),
        ("kernel-releases", "6.1"), ("kernel-releases", ["../x"]), ("kernel-releases", [""]), ("own-kernel", 0), ("own-kernel", "false"),
        ("root-hash", "xyz"), ("root-hash", 5), ("minimum-version", "a/b"), ("minimum-version", 1),
        ("published", "2026-11-30"), ("published", "2026-13-30T12:00:00Z"), ("published", "2026-11-30T12:00:00+01:00"), ("published", 0),
        ("waves", {}), ("waves", [1]), ("waves", [{"from": "2026-12-01T00:00:00Z", "percent": 101}]),
        ("waves", [{"from": "2026-12-01T00:00:00Z", "percent": 10}, {"from": "2026-12-01T00:00:00Z", "percent": 20}]),
        ("waves", [{"from": "2026-12-01T00:00:00Z", "percent": 50}, {"from": "2026-12-02T00:00:00Z", "percent": 20}]),
        ("deltas", [{**ONE_DELTA, "target": "../x"}]), ("deltas", [{**ONE_DELTA, "target": "os_0.8..1.0_usr.delta"}]),
        ("deltas", [{**ONE_DELTA, "from-version": "0.8", "target": "os_0.8..1.0_usr.delta"}]), ("deltas", [{**ONE_DELTA, "blob": "x"}]),
        ("deltas", [{**ONE_DELTA, "from-sha256": ""}]), ("deltas", [None]),
    ],
)  # fmt: skip
def test_a_field_that_is_wrong_makes_it_no_release(field: str, value: object) -> None:
    with pytest.raises(ReleaseError) as caught:
        parse_release(INDEX, {**full(), field: value}, OTHERS)
    assert caught.value.target == INDEX.name
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("field", sorted(set(full()) - {"root-hash", "minimum-version"}))
def test_a_field_that_is_missing_makes_it_no_release(field: str) -> None:
    fields = full()
    del fields[field]
    with pytest.raises(ReleaseError):
        parse_release(INDEX, fields, OTHERS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(full())), JSON, max_size=4), JSON)
def test_whatever_json_holds_it_is_a_release_or_one_error(changes: dict[str, object], anything: object) -> None:
    for value in ({**full(), **changes}, anything):
        try:
            assert parse_release(INDEX, value, OTHERS).index == INDEX
        except ReleaseError as error:
            assert "\n" not in str(error)


def test_names_of_targets() -> None:
    assert index_name("os", "1.0", "usr") == "os_1.0_usr.index"
    assert delta_name("os", "0.9", "1.0", "usr") == "os_0.9..1.0_usr.delta"
    with pytest.raises(ValueError, match="at most 190"):
        index_name("o" * 200, "1", "usr")
    with pytest.raises(ValueError, match="the version is"):
        index_name("os", "1_0", "usr")
