"""Where an update stands: the states and their transitions, the file that survives power cuts, what a boot makes of it, the history."""
