"""Vectors -> scores -> the best."""
