"""What is written, where it may go, and in which order."""
