"""Scripts that the interpreter of an initramfs or image runs while that is built. They import nothing of ours."""
