"""The pipeline's side of a repository: a folder that any static web server serves, signed by keys of which most are offline.

The machine's half never imports it.
"""

from __future__ import annotations
