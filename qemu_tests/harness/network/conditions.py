"""What is wrong with a network at a moment: a value. The switch looks at the present one for every frame."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Conditions:
    """Faults of a network. The default has none.

    ``cut_off``: machines whose frames are dropped, in both directions, those of the switch's services, too.
    ``groups``: a partition. Machines of different groups do not hear each other. A machine in two groups hears both; one in
    none hears all. The switch's services are no party: every machine reaches them.
    ``delay``: seconds that every frame takes longer, in one direction. ``loss``: the share of frames that is lost, 0 to 1.
    """

    cut_off: frozenset[str] = frozenset()
    groups: tuple[frozenset[str], ...] = ()
    delay: float = 0.0
    loss: float = 0.0

    def reaches(self, sender: str | None, receiver: str | None) -> bool:
        """Whether a frame goes from one machine to another; None is the switch itself."""
        if sender in self.cut_off or receiver in self.cut_off:
            return False
        if sender is None or receiver is None:
            return True
        of_sender = [group for group in self.groups if sender in group]
        of_receiver = [group for group in self.groups if receiver in group]
        return not of_sender or not of_receiver or any(receiver in group for group in of_sender)
