"""locksmith's document, byte by byte. The bytes are those that Go's encoding/json writes for locksmith's structure."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from update_agent.lock.errors import DocumentError, HolderExistsError, MaxError, NoHolderError, NoPlaceError
from update_agent.lock.keys import Keys
from update_agent.lock.semaphore import Semaphore, parse

MACHINES = st.lists(st.text(max_size=8), max_size=6, unique=True)


@pytest.mark.parametrize(
    ("semaphore", "written"),
    [
        (Semaphore(), b'{"semaphore":1,"max":1,"holders":null}'),
        (Semaphore(4), b'{"semaphore":4,"max":4,"holders":null}'),
        (
            Semaphore().locked("69d27b356a94476da859461d3a3bc6fd"),
            b'{"semaphore":0,"max":1,"holders":["69d27b356a94476da859461d3a3bc6fd"]}',
        ),
        (Semaphore().locked("a").unlocked("a"), b'{"semaphore":1,"max":1,"holders":[]}'),
        (Semaphore(3).locked("b").locked("a"), b'{"semaphore":1,"max":3,"holders":["a","b"]}'),
        (Semaphore(2).locked("b").locked("a").with_max(1), b'{"semaphore":0,"max":1,"holders":["a","b"]}'),
        (Semaphore().locked("<a&b>"), rb'{"semaphore":0,"max":1,"holders":["\u003ca\u0026b\u003e"]}'),
        (
            Semaphore().locked('\\b "\b\f\n\t\x01\x7f'),
            b'{"semaphore":0,"max":1,"holders":["\\\\b \\"\\u0008\\u000c\\n\\t\\u0001\x7f"]}',
        ),
        (Semaphore().locked("é\u2028"), b'{"semaphore":0,"max":1,"holders":["\xc3\xa9\\u2028"]}'),
    ],
)
def test_the_document_is_locksmith_s_to_the_byte(semaphore: Semaphore, written: bytes) -> None:
    assert semaphore.to_bytes() == written
    assert parse("key", written) == semaphore


@given(st.integers(1, 9), MACHINES)
def test_what_is_written_is_json_with_the_same_machines(number: int, machines: list[str]) -> None:
    semaphore = Semaphore(max(number, len(machines)))
    for machine in machines:
        semaphore = semaphore.locked(machine)
    fields = json.loads(semaphore.to_bytes())
    assert (fields["holders"] or []) == sorted(machines)
    assert fields["semaphore"] == fields["max"] - len(machines)


@pytest.mark.parametrize(
    ("written", "holders", "available"),
    [
        ('{"semaphore":1,"max":1,"holders":[]}', (), 1),
        ('{"semaphore":1,"max":1,"holders":null}', (), 1),
        ('{"max":2}', (), 2),
        ('{"semaphore":-2,"max":1,"holders":["a","b","c"]}', ("a", "b", "c"), 0),
        ('{"semaphore":5,"max":2,"holders":["b","a","b"]}', ("a", "b"), 0),
        ('{"semaphore":-3,"max":-3,"holders":[]}', (), 0),
        ('{"semaphore":1,"max":1,"holders":[],"later":{}}\n', (), 1),
    ],
)
def test_a_count_that_others_wrote_is_not_relied_on(written: str, holders: tuple[str, ...], available: int) -> None:
    semaphore = parse("key", written.encode())
    assert (semaphore.holders, semaphore.available) == (holders, available)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "nonsense",
        "[]",
        "null",
        "{}",
        '{"max":"1"}',
        '{"max":true}',
        '{"max":1,"holders":{}}',
        '{"max":1,"holders":[1]}',
        "\xff",
    ],
)
def test_what_is_no_document_is_named_with_its_key(written: str) -> None:
    with pytest.raises(DocumentError, match=r"^a/key: no document of a lock"):
        parse("a/key", written.encode("latin-1"))


def test_who_holds_the_lock_is_told_so_before_anything_about_places() -> None:
    with pytest.raises(HolderExistsError, match=r"^holder exists$"):
        Semaphore().locked("a").locked("a")
    with pytest.raises(NoPlaceError, match=r"^semaphore is at 0$"):
        Semaphore().locked("a").locked("b")
    with pytest.raises(NoHolderError, match=r"^holder does not exist$"):
        Semaphore().locked("a").unlocked("b")


@pytest.mark.parametrize("number", [0, -1, -3])
def test_nobody_is_locked_out_by_a_maximum(number: int) -> None:
    with pytest.raises(MaxError):
        Semaphore(4).with_max(number)


def test_a_maximum_below_the_holders_waits_for_them() -> None:
    semaphore = Semaphore(3).locked("a").locked("b").locked("c").with_max(1)
    for machine in ("a", "b"):
        with pytest.raises(NoPlaceError, match="semaphore is at 0"):
            semaphore.locked("d")
        semaphore = semaphore.unlocked(machine)
    assert semaphore.unlocked("c").locked("d").holders == ("d",)


@pytest.mark.parametrize(
    ("group", "key"),
    [
        ("", "coreos.com/updateengine/rebootlock/semaphore"),
        ("lb/x y", "coreos.com/updateengine/rebootlock/groups/lb%2Fx+y/semaphore"),
        ("ä&~", "coreos.com/updateengine/rebootlock/groups/%C3%A4%26~/semaphore"),
    ],
)
def test_the_keys_are_locksmith_s(group: str, key: str) -> None:
    assert Keys(group).semaphore == key
