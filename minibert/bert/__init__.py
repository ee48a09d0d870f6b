"""Rows of token ids -> packs -> hidden states."""
