"""The command ``image-builder``: a file for each group of its commands."""
