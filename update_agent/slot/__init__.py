"""The passive slot: opened for one writer, written, read back, armed. The active slot is never written."""
