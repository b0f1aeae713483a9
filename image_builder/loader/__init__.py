"""What stands on the EFI system partition and starts the kernel: one file for each kind."""
