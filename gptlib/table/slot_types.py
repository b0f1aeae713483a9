"""Types of the partitions in which A/B systems keep their slots, so that the slot bits of the attributes mean something.

They are apart from ``gptlib.table.types``, which the boot path has no use for.
"""

from __future__ import annotations

# The first name of a GUID is the one that is shown.
SLOT_TYPES = {
    "coreos-usr": "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6",
    "flatcar-usr": "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6",
    "coreos-rootfs": "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6",
    "flatcar-rootfs": "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6",
    "chromeos-kernel": "fe3a2a5d-4f32-41a7-b725-accc3285a309",
    "bottlerocket-boot": "6b636168-7420-6568-2070-6c616e657421",
    "usr-x86-64": "8484680c-9521-48c6-9c11-b0720656f69e",
    "root-x86-64": "4f68bce3-e8cd-4db1-96e7-fbcaf984b709",
    "usr-arm64": "b0e01050-ee5f-4390-949a-9101b17104e9",
    "root-arm64": "b921b045-1df0-41c3-af44-4c6f280d3fae",
}
