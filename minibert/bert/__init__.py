"""Rows of token ids -> packs -> hidden states, and back: the gradients.

In reading order:
- packs: texts end to end, no padding
- parameters: the sizes and the tensors of a model
- hook: a forward pass and its hook, which gets the arrays of every step
- forward: the forward pass of BERT
- backward: the way back through it, function by function
- dropout: zeros at random places, in training
- rotary: the forward pass of ModernBERT and NomicBERT
- static: the same for a table of word embeddings, a model without layers
- families: a row for each family: its forward pass, its tensors, its config.json, its positions
- family_settings: readers of the keys that only one family's config.json has
- layout: tables of a checkpoint's tensors, used to read them and to get them back
- tensor_uses: the ways from tensors to a field of the parameters, and back
- load: a folder -> sizes and tensors
- table: a folder -> such a table
- placement: tensors and packs on a device
- tensor_parallel: a lone pack in several threads
- finite: the first step whose result holds NaN or infinity
"""
