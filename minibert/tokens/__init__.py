"""Texts -> rows of token ids."""
