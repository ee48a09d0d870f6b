"""Rows of token ids -> packs -> hidden states.

In reading order:
- packs: texts end to end, no padding
- parameters: the sizes and the tensors of a model
- hook: a forward pass and its hook, which is shown the arrays of every step
- forward: the forward pass of BERT
- rotary: that of ModernBERT and NomicBERT
- families: a row a family: its forward pass, its tensors, its config.json, its positions
- family_settings: fields of config.json that a family has in a way of its own
- layout: the tensors of a checkpoint, a row a field, from the file and back
- tensor_uses: the ways in which tensors become a field, and are had back
- load: a folder -> sizes and tensors
- placement: tensors and packs on a device
- tensor_parallel: a lone pack in several threads
- finite: the first step that made NaN or infinity
"""
