"""All that ``updatectl publish`` takes from this room, so that it is asked for in one place: there are machines that do not have it."""

from __future__ import annotations

from update_agent.publish.artifacts import read_artifacts
from update_agent.publish.check import check
from update_agent.publish.errors import NoReleaseError
from update_agent.publish.payloads import Payloads
from update_agent.publish.plan import Plan, Role
from update_agent.publish.prune import prune
from update_agent.publish.publisher import Publisher
from update_agent.publish.release_maker import ReleaseMaker, Terms
from update_agent.publish.releases import surplus
from update_agent.publish.sources import sources

__all__ = [
    "NoReleaseError",
    "Payloads",
    "Plan",
    "Publisher",
    "ReleaseMaker",
    "Role",
    "Terms",
    "check",
    "prune",
    "read_artifacts",
    "sources",
    "surplus",
]
