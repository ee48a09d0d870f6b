"""Hidden states -> vectors: the modules of a model after its BERT.

- `pipeline`: the modules of one model in their order, ready to compute; start here
- `pooling`: the token states of a text -> its vector, by one mode or several
- `modes`: the table of pooling modes, a function and a row each
- `dense`, `layer_norm`, `normalize`, `dropout`: one module each, with its settings and its tensors
- `weighted_layers`: a mean of the states after several layers, before all other modules
- `module`: the form of a row of the table of modules, and the checks that modules share
- `registry`: the table of modules
"""
