"""A model's folder: found, read, saved, and converted from pickles.

- `hub`: a model's name -> its folder; start here
- `repository`: a model on the hub, its files, and the errors if it is unavailable
- `model_paths`: a model's name and a path in its folder -> that path on this machine
- `completeness`: a folder of the cache -> its first missing file
- `model_files`: names of the files that are read, fetched or converted
- `folder`: a folder -> all settings of its model; no tensors, no vocabulary
- `modules`: modules.json -> the modules and their settings
- `transformer_settings`: sentence_bert_config.json -> the settings of the Transformer
- `metric`: the metric of a model's vectors, and the reason for it
- `save`: a model -> a folder
- `push`: a model's folder -> a repository of the hub
- `convert`, `conversion_plan`: a model with pickled weights -> a folder with safetensors
- `layers`: a model -> a folder with some of its layers
- `new_folder`: the folder that these two write, whole or not at all
- `unpickling`: the program that opens pickles, in its own process; nothing imports it
- `supported`: the families and much used models that minibert runs
"""
