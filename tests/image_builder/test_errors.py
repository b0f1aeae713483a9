"""Every error of the builder is one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from image_builder.errors import (
    BuildError,
    DownloadError,
    KernelModuleError,
    LibraryError,
    TooLargeError,
)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            TooLargeError(Path("a.slot"), 3 * 2**20 + 1, 2**20, "slot USR-B"),
            ["a.slot", "3145729", "1048576", "at least 4 MiB"],
        ),
        (KernelModuleError("erofs", "6.1.0", ""), ["kernel module erofs", "6.1.0", "not built in"]),
        (KernelModuleError("libcrc32c", "6.1.0", "erofs"), ["libcrc32c (needed by erofs)"]),
        (LibraryError("libssl.so.3", "_ssl.so"), ["libssl.so.3", "_ssl.so"]),
        (DownloadError(["libc6", "zlib1g"], "no route"), ["libc6 and 1 more", "no route", "apt-get update"]),
    ],
)
def test_an_error_says_in_one_line_what_was_found_and_what_to_do(error: BuildError, words: list[str]) -> None:
    assert "\n" not in str(error)
    for word in words:
        assert word in str(error)
