"""A model's folder: found, read, saved, and rid of pickles.

- `hub`: a model's name -> its folder; start here
- `repository`: a model on the hub, its files, and what is said where it is not to be had
- `completeness`: a folder of the cache -> the first file that it lacks
- `model_files`: the names of the files that are read, fetched or converted
- `folder`: a folder -> all that it says of its model, but its tensors and its vocabulary
- `modules`: modules.json -> the modules and their settings
- `transformer_settings`: sentence_bert_config.json -> the settings of the Transformer
- `metric`: the metric that a model's vectors are scored by, and the reason for it
- `save`: a model -> a folder
- `convert`, `conversion_plan`: a model with pickled weights -> a folder with safetensors
- `unpickling`: the program that opens pickles, in a process of its own; nothing imports it
- `supported`: the families and much used models that run
"""
