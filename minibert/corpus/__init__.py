"""A corpus on disk: written, read, checked, searched."""
