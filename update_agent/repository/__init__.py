"""TUF on the machine: which releases a repository has, checked down to the last field, and the small files that they name.

Of the machine's half this is the only room that imports ``tuf``. Everything that comes from outside, the network and the state
folder alike, is believed only after its signature, version, expiry, length and hash were checked.
"""

from __future__ import annotations
