"""Measurements, each beside a peer in the same run: ``script/bench NAME``."""
