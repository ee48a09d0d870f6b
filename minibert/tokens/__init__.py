"""Texts -> rows of token ids.

- `texts`: texts as callers give them, checked and listed, and prompts before them
- `tokenizer`: texts -> rows of token ids, cut where they are too long
- `truncation`: how a pair shares its room, and how texts that were cut are told
- `special_tokens`: the special tokens that stand around a text
- `padding`: rows -> matrices, filled up, for those who want transformers' arrays
- `load`: a folder's vocabulary and settings -> its tokenizer
- `classes`: a row a class of tokenizers that folders name, with how it splits a text
"""
