"""The command ``gptctl``: the commands of both ``cgpt`` families, and a few of its own.

Each command is a module with a ``COMMAND``. Starting has to be cheap (a script may call it a dozen times), so only the
module of the command that runs is imported, and options are parsed in the manner of getopt, without a library.
"""
