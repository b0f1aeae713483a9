"""What the interpreter of an initramfs or image runs while that is built, or begins with there. Nothing of ours is imported."""
