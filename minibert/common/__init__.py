"""Files, arguments and messages: all that knows no model, no vector and no score.

- `arrays`: the types of arrays that every module speaks of
- `arguments`: arguments of calls, refused in words that name them
- `files`: a file or a folder that is written whole, or not at all
- `json_files`: a model's files -> texts and JSON, with values of the right kind
- `safetensors_files`: a model's weights -> tensors by their names, mapped
- `progress`: a bar on stderr; standard streams that are not there
- `escapes`: texts of others in print, which no terminal obeys
- `advice`: what an error advises: a command to paste, a library to install
"""
