"""What a machine does about updates, one step after the other, each on the disk before the next; and what others see of it."""
