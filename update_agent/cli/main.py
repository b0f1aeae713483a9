"""The command ``updatectl``."""

from __future__ import annotations

import click

from bootselect.click_support import ErrorGroup
from update_agent import __version__
from update_agent.cli.agent import agent
from update_agent.cli.check import check_command
from update_agent.cli.config import config
from update_agent.cli.control import cancel, resume
from update_agent.cli.install import install
from update_agent.cli.integrate import integrate
from update_agent.cli.publish import publish
from update_agent.cli.status import history, status
from update_agent.config.errors import ConfigError
from update_agent.errors import UpdateError


class _Group(ErrorGroup):
    errors = (*ErrorGroup.errors, UpdateError)

    def lines_of(self, error: Exception) -> list[str]:
        """A configuration has a line for each of its mistakes."""
        return str(error).split("\n") if isinstance(error, ConfigError) else super().lines_of(error)


@click.group("updatectl", cls=_Group)
@click.version_option(__version__)
def main() -> None:
    """Install operating-system updates into the passive slot.

    Exit codes: 0 done, 1 refused or failed, 2 usage; 143, 129 and 130 when it was stopped by SIGTERM, SIGHUP or SIGINT.
    """


for command in (check_command, install, status, history, cancel, resume, agent, integrate, config, publish):
    main.add_command(command)
