"""The door of the program ``locksmithctl``. Apart from that of ``updatectl``: a slot that installs from media has no client for locks."""

from __future__ import annotations

from update_agent.stop import Stopper


def main() -> None:
    """Run ``locksmithctl``; exits the process."""
    stopper = Stopper("locksmithctl")
    stopper.now("'locksmithctl status' shows what holds")
    stopper.listen()
    from update_agent.cli.locksmithctl import main as program

    program(obj=stopper)


if __name__ == "__main__":
    main()
