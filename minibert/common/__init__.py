"""Files, arguments and messages, for every folder. No models, no vectors, no scores.

- `arrays`: types of arrays, for all modules
- `arguments`: checks of arguments, with errors that name them
- `files`: files and folders that are written whole, or not at all
- `json_files`: a model's files -> texts and JSON, with checked values
- `safetensors_files`: a model's weights -> tensors by name, mapped
- `tensors_in_memory`: tensors by name as arrays that a program may change
- `safetensors_writing`: tensors by name -> a file, without a second copy in memory
- `download`: a file of the web -> a file
- `progress`: a bar on stderr; missing standard streams
- `escapes`: texts without characters that a terminal would obey
- `counts`: numbers of things in words
- `advice`: advice in errors: a command to paste, a library to install
"""
