"""Arithmetic on rows, one file a device, and the cores it may use."""
