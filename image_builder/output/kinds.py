"""All formats. A new one is a file of its own and a line here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from image_builder.output.bmap import BMAP
from image_builder.output.errors import UnknownOutputError
from image_builder.output.gce import GCE
from image_builder.output.qcow2 import QCOW2
from image_builder.output.raw import RAW
from image_builder.output.vhd import VHD
from image_builder.output.vmdk import VMDK

if TYPE_CHECKING:
    from image_builder.output.output import Output

OUTPUTS: dict[str, Output] = {output.name: output for output in (RAW, QCOW2, VMDK, VHD, GCE, BMAP)}
"""Formats by their names."""


def output_of(name: str) -> Output:
    """The format of this name. Raises UnknownOutputError."""
    try:
        return OUTPUTS[name]
    except KeyError:
        raise UnknownOutputError(name, tuple(OUTPUTS)) from None
