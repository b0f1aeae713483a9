"""The systems that are booted: trees of files, and the file systems made from them."""
