"""Scripts that the target's interpreter runs while an image is built. They import nothing of ours."""
