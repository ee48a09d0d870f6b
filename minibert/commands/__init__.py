"""Command line: each command is a file and a row of the registry; a command imports no command.

In reading order:

- `cli`: arguments -> one call -> an exit code
- `streams`: standard streams that are missing, closed or full
- `command`, `registry`: the row of a command, and all rows
- `options`: groups of options, a function each
- `opening`: options -> the model that they name
- `texts`: options -> the texts of arguments, files and standard input
- `conditions`: conditions on fields, as they are typed -> those of a search
- `output`: results -> standard output, or a file that appears when it is whole
- `formats`: vectors -> a file, by a row for each format
- `ranking`: a query and texts -> the texts, best first
- `embed`, `score`, `explain`, `info`, `convert`, `search`, `map`, `evaluate`, `mine`, `label`,
  `train`, `serve`, `demo`: a command each
- `train_report`: the page of a training, written while it runs
- `index/`: the commands under `minibert index`, and their report

A command imports the modules that only its own work needs inside its function. So `minibert --help`
and all other commands start without them.
"""
