"""What the commands of ``locksmithctl`` share: options, the client that they name, and errors in the words of locksmith."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from bootselect.click_support import say
from update_agent.lock.errors import (
    CommonNameError,
    EndpointError,
    GroupError,
    LockCertificateError,
    LockDeniedError,
    LockError,
    LockUnreachableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from update_agent.config.settings import Settings
    from update_agent.lock.etcd import Etcd
    from update_agent.lock.group import Group

_NO_CLIENT = (LockUnreachableError, LockDeniedError, LockCertificateError, CommonNameError, EndpointError, GroupError)


@dataclass(frozen=True)
class Flags:
    """The global options; None where one was not given."""

    endpoint: tuple[str, ...]
    etcd_keyfile: str | None
    etcd_certfile: str | None
    etcd_cafile: str | None
    etcd_username: str | None
    etcd_password: str | None
    group: str | None

    def over(self, settings: Settings) -> Settings:
        """The settings of the agent, with these options in their places."""
        given = {
            "lock_endpoint": ",".join(self.endpoint) or None,
            "lock_key": self.etcd_keyfile,
            "lock_certificate": self.etcd_certfile,
            "lock_ca_file": self.etcd_cafile,
            "lock_user": self.etcd_username,
            "lock_password": self.etcd_password,
            "lock_group": self.group,
        }
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        return replace(settings, **changes)


def flag(name: str, about: str, **more: Any) -> Callable[[Any], Any]:  # noqa: ANN401  (click's own)
    """An option with one dash, as Go has it, and with two."""
    return click.option(f"-{name}", f"--{name}", help=about, **more)


def settings_of_agent() -> Settings:
    """Those of this machine. Raises ConfigError."""
    from update_agent.cli.common import settings_here

    return settings_here()


@contextmanager
def client(flags: Flags, what: str) -> Iterator[Etcd]:
    """Etcd as the options and the settings name it; errors in the words of locksmith."""
    from update_agent.lock.etcd import Etcd
    from update_agent.lock.open import access_of

    with saying(what):
        etcd = Etcd(access_of(flags.over(settings_of_agent())))
        try:
            yield etcd
        finally:
            etcd.close()


@contextmanager
def group_of(flags: Flags, what: str) -> Iterator[Group]:
    """The group that the options and the settings name."""
    from update_agent.lock.group import Group

    with client(flags, what) as etcd:
        yield Group(etcd, flags.over(settings_of_agent()).lock_group)


@contextmanager
def saying(what: str) -> Iterator[None]:
    """Errors of the block are one line, and exit 1; ``what`` could not be done."""
    from update_agent.agent.errors import RebootError

    try:
        yield
    except RebootError as error:
        fail(f"Error rebooting: {error.problem}")
    except _NO_CLIENT as error:
        fail(f"Error initializing etcd client: {error}")
    except LockError as error:
        fail(f"{what}: {error}")


def this_machine() -> str:
    """That of machine-id(5)."""
    from update_agent.agent.here import machine_id

    found = machine_id(Path("/"))
    if not found:
        fail("Cannot read machine-id")
    return found


def fail(line: str) -> NoReturn:
    """One line, and exit 1."""
    say(line, err=True)
    raise click.exceptions.Exit(1)
