"""The story of an A/B disk: updated, updated badly, cut off from power and damaged, and never without a system that boots.

Plain functions, each of which acts, checks what it promises, and tells an observer what happened: the test suite and the
demonstration play the same scenes.
"""
