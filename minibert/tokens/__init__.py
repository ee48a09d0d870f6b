"""Texts -> rows of token ids.

- `texts`: texts as callers give them: checked, listed, put behind prompts
- `tokenizer`: texts -> rows of token ids, truncated to a limit
- `truncation`: lengths of truncated texts and pairs, and the report of truncation
- `special_tokens`: special tokens around a text
- `padding`: rows -> padded matrices, as transformers has them
- `load`: a folder's vocabulary and settings -> its tokenizer
- `classes`: a table of the classes of tokenizers that folders name, a row each
- `backends`: a function for each way to split a text
- `templates`: a function for each way to put special tokens around a text
"""
