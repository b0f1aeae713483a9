"""The door of the program ``updatectl``: from its first line on, a signal ends it with one line and no traceback."""

from __future__ import annotations

from update_agent.stop import Stopper


def main() -> None:
    """Run ``updatectl``; exits the process."""
    stopper = Stopper("updatectl")
    stopper.listen()
    # Imported here, as that is most of what a short call takes.
    from update_agent.cli.main import main as updatectl

    updatectl(obj=stopper)


if __name__ == "__main__":
    main()
