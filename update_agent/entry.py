"""The doors of the programs: from its first line on, a signal ends one with one line and no traceback."""

from __future__ import annotations

from update_agent.stop import Stopper


def main() -> None:
    """Run ``updatectl``; exits the process."""
    stopper = Stopper("updatectl")
    stopper.listen()
    # Imported here, as that is most of what a short call takes.
    from update_agent.cli.main import main as updatectl

    updatectl(obj=stopper)


def locksmithctl() -> None:
    """Run ``locksmithctl``; exits the process."""
    stopper = Stopper("locksmithctl")
    stopper.now("'locksmithctl status' shows what holds")
    stopper.listen()
    from update_agent.cli.locksmithctl import main as program

    program(obj=stopper)


if __name__ == "__main__":
    main()
