"""The command ``bootselect`` of the running system. The boot path never imports it."""
