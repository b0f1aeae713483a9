"""Installs operating-system updates into the passive slot: the command ``updatectl``."""
