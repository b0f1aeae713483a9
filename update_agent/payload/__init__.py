"""What an update is made of: a slot image as frames that are fetched, checked and taken apart one by one, and differences.

A published slot is one *blob*, which is independent zstd frames one behind the other, and its *index*, which says where each
frame is and what it holds. ``index`` has the values, ``frames`` the full image, ``delta`` the differences to an older one,
``plan`` what is to be fetched. Both sides use it, the one that publishes and the one that installs; nothing here knows of a
network, of keys or of slots.

>>> import io
>>> from update_agent.payload.frames import open_segment, write_frames
>>> blob = io.BytesIO()
>>> made = write_frames(io.BytesIO(b"a slot " * 1_000_000), blob)
>>> [(segment.start, segment.size) for segment in made.index.segments]
[(0, 4194304), (4194304, 2805696)]
>>> second = made.index.segments[1]
>>> image = open_segment(second, blob.getvalue()[second.offset : second.end])
>>> len(image)
2805696
"""

from __future__ import annotations
