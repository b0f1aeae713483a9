"""What the firmware starts: the initramfs and the unified kernel image around it."""
