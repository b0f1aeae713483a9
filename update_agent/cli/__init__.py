"""The command ``updatectl``: one file for each group of commands."""
