"""What the commands of ``updatectl publish`` print: lines for people, one JSON object for scripts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from bootselect.click_support import say

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from update_agent.publish.check import Report
    from update_agent.publish.prune import Pruned
    from update_agent.publish.publisher import Expiry
    from update_agent.publish.release_maker import Added
    from update_agent.publish.rotation import Rotation
    from update_agent.repository.release import Release

_MIB = 1 << 20


def added(found: Added, *, as_json: bool) -> None:
    """A release that was added."""
    release = found.release
    if as_json:
        _print({"new": found.is_new, "left-out": dict(found.left_out), **_release(release)})
        return
    if not found.is_new:
        say(f"{release.name} {release.version} is published already: nothing was written")
        return
    _release_lines([release])
    for delta in release.deltas:
        say(
            f"  delta from {delta.from_version}: {_mib(delta.compressed)}, {_percent(delta.compressed, release)} of the whole"
        )


def releases(found: Iterable[Release], *, as_json: bool) -> None:
    """Releases as they are now."""
    if as_json:
        _print({"releases": [_release(one) for one in found]})
    else:
        _release_lines(found)


def withdrawn(gone: Iterable[Release], group: str | None, *, as_json: bool) -> None:
    """Releases that are offered no more."""
    if as_json:
        _print({"withdrawn": [_release(one) for one in gone], "group": group})
        return
    for one in gone:
        left = "it is offered no more" if group is None else f"not for {group} any more; for {_groups(one)}"
        say(f"{one.name} {one.version} for {one.slot}: {left}")


def expiries(found: Iterable[Expiry], *, as_json: bool) -> None:
    """Until when each role holds."""
    if as_json:
        _print({"roles": {one.role: {"expires": _date(one.expires), "due": one.due} for one in found}})
        return
    for one in found:
        say(f"{one.role:9}  holds until {one.expires:%Y-%m-%d %H:%M} UTC{', due' if one.due else ''}")


def rotations(done: Sequence[Rotation], files: Mapping[str, str], *, as_json: bool) -> None:
    """Keys that were exchanged."""
    if as_json:
        fields = [
            {"role": one.role, "added": one.added, "revoked": one.revoked, "root": one.root_version} for one in done
        ]
        _print({"rotations": fields})
        return
    for one in done:
        for keyid in one.revoked:
            say(f"{one.role}: the key {keyid} counts no more (root {one.root_version})")
        for keyid in one.added:
            say(f"{one.role}: the new key {keyid} is in {files.get(keyid, 'the first folder of keys')}")


def repository(
    found: Sequence[Release],
    until: Sequence[Expiry],
    keys: Mapping[str, Sequence[str]],
    files: Mapping[str, str],
    *,
    as_json: bool,
) -> None:
    """All of a repository."""
    if as_json:
        roles = {
            one.role: {
                "expires": _date(one.expires),
                "due": one.due,
                "keys": [{"id": keyid, "file": files.get(keyid)} for keyid in keys[one.role]],
            }
            for one in until
        }
        _print({"releases": [_release(one) for one in found], "roles": roles})
        return
    if not found:
        say("no releases")
    _release_lines(found)
    expiries(until, as_json=False)
    for role, keyids in keys.items():
        for keyid in keyids:
            say(f"{role:9}  key {keyid}  {files.get(keyid, '')}".rstrip())


def checked(report: Report, *, deep: bool, as_json: bool) -> None:
    """What a machine sees."""
    trusted = report.trusted
    if as_json:
        fields = {
            "ok": not report.problems,
            "deep": deep,
            "problems": report.problems,
            "releases": [_release(one) for one in trusted.releases],
            "expires": {role: _date(date) for role, date in trusted.expires.items()},
            "versions": dict(trusted.versions),
        }
        _print(fields)
        return
    _release_lines(trusted.releases)
    until = min(trusted.expires.values())
    state = "as signed" if not report.problems else f"{len(report.problems)} problems"
    what = "metadata, indexes and all bulk data" if deep else "metadata, indexes and the sizes of bulk data"
    say(f"{what}: {state}; believed until {until:%Y-%m-%d %H:%M} UTC")


def pruned(found: Pruned, gone: Sequence[Release], *, dry_run: bool, as_json: bool) -> None:
    """What was removed."""
    if as_json:
        _print(
            {
                "dry-run": dry_run,
                "withdrawn": [_release(one) for one in gone],
                "removed": found.files,
                "bytes": found.size,
                "later": found.later,
            }
        )
        return
    would = "would be " if dry_run else ""
    for one in gone:
        say(f"{one.name} {one.version} for {one.slot} {would or 'was '}withdrawn")
    for name in found.files:
        say(f"{would}removed: {name}")
    later = f"; {len(found.later)} more when their grace is over" if found.later else ""
    say(f"{len(found.files)} files, {_mib(found.size)} {would}removed{later}")


def _release_lines(found: Iterable[Release]) -> None:
    for one in found:
        waves = ", ".join(f"{wave.percent} % from {wave.begin:%Y-%m-%d %H:%M} UTC" for wave in one.waves)
        say(
            f"{one.name} {one.version} for {one.slot}: {_groups(one)}{f' ({waves})' if waves else ''}; "
            f"{_mib(one.compressed)} of {_mib(one.size)}, deltas from {', '.join(d.from_version for d in one.deltas) or 'none'}"
        )


def _groups(release: Release) -> str:
    return ", ".join(release.groups) or "nobody"


def _release(one: Release) -> dict[str, Any]:
    return {
        "name": one.name,
        "version": one.version,
        "slot": one.slot,
        "slot-type": str(one.slot_type),
        "groups": one.groups,
        "waves": [{"from": _date(wave.begin), "percent": wave.percent} for wave in one.waves],
        "size": one.size,
        "sha256": one.sha256,
        "blob": one.blob,
        "compressed": one.compressed,
        "minimum-version": one.minimum_version,
        "published": _date(one.published),
        "deltas": [
            {"from": delta.from_version, "blob": delta.blob, "compressed": delta.compressed} for delta in one.deltas
        ],
    }


def _date(date: datetime) -> str:
    return f"{date:%Y-%m-%dT%H:%M:%SZ}"


def _mib(size: int) -> str:
    return f"{size / _MIB:.1f} MiB" if size >= _MIB else f"{size} bytes"


def _percent(size: int, release: Release) -> str:
    return f"{size * 100 / release.compressed:.1f} %"


def _print(fields: Mapping[str, Any]) -> None:
    click.echo(json.dumps(fields, indent=2))
