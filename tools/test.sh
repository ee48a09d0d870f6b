#!/bin/sh
# All that a commit must pass, in an environment of its own. Safe to run again.
#
#     sh tools/test.sh              # style, types, tests, coverage
#     sh tools/test.sh quick        # while you work: style, types, all tests but the slow ones
#     sh tools/test.sh reference    # the same texts through transformers and sentence-transformers
#     sh tools/test.sh engines      # a model on a local Ray cluster and, with Java, in Spark
#     sh tools/test.sh integrations # the adapters, beside LangChain, LlamaIndex and others
#     sh tools/test.sh frameworks   # the other adapters, and the recipes, beside Chroma, LanceDB and others
#     sh tools/test.sh browser      # the pages in a real browser, headless
#     sh tools/test.sh server       # a served model through other makers' clients, unchanged
#     sh tools/test.sh docs         # the documentation as a site, and the tour in a clean copy
#     sh tools/test.sh kernels      # the tests of numbers, with each family of kernels there is here
#     sh tools/test.sh long         # hours: altered folders, kills, faults, load; before a release
set -eu
cd "$(dirname "$0")/.."
. tools/environment.sh

# The system's own browser: playwright would bring another, hundreds of megabytes.
chromium_or_stop() {
    if [ -n "${CHROMIUM:-}" ] || command -v chromium >/dev/null; then
        return
    fi
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "there is no chromium: install it, or set CHROMIUM to the path of one" >&2
        exit 1
    fi
    apt-get update --quiet=2 >&2
    DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --no-install-recommends --yes \
        chromium fonts-dejavu-core >&2
}

# A folder for the tests' files, in memory where two gigabytes are free: syncing takes no time there.
scratch_folder() {
    free=$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 { print $4 }')
    if [ -w /dev/shm ] && [ "${free:-0}" -gt 2000000 ]; then
        mktemp -d /dev/shm/minibert.XXXXXX
    else
        mktemp -d
    fi
}

# What needs no test to be seen.
style_and_types() {
    .venv/bin/ruff format --check .
    .venv/bin/ruff check .
    .venv/bin/mypy
}

# in_halves COMMAND...: run the tests with a command, half of them on a second core.
in_halves() {
    half="tests/bert tests/checkpoint tests/commands tests/explain tests/models tests/pooling tests/tools"
    others=""
    for folder in $half tests/reference tests/engines tests/browser tests/clients \
        tests/frameworks tests/site; do
        others="$others --ignore=$folder"
    done
    TMPDIR=$(scratch_folder)
    export TMPDIR
    "$@" $half >"$TMPDIR/half" 2>&1 &
    trap 'kill $! 2>/dev/null || true; rm -rf "$TMPDIR"' EXIT
    trap 'exit 130' INT TERM
    failed=0
    "$@" $others || failed=1
    wait $! || failed=1
    cat "$TMPDIR/half"
    return $failed
}

case "${1:-all}" in
all)
    environment .venv --editable '.[dev]'
    .venv/bin/python tools/fetch_minilm.py
    style_and_types
    .venv/bin/coverage erase
    in_halves .venv/bin/coverage run --parallel-mode -m pytest
    .venv/bin/coverage combine --quiet
    .venv/bin/coverage report
    ;;
quick)
    environment_kept .venv --editable '.[dev]'
    .venv/bin/python tools/fetch_minilm.py
    style_and_types
    in_halves .venv/bin/python -m pytest -q -m "not slow"
    ;;
reference)
    # torch first and by itself: a release that is there satisfies the others, and no newer one,
    # with its gigabytes for GPUs, is drawn in.
    environment .venv-reference 'torch==2.13.0'
    environment .venv-reference --editable '.[reference]'
    .venv-reference/bin/python tools/fetch_minilm.py
    # Their own warnings are theirs: here only the numbers count.
    HF_HUB_OFFLINE=1 .venv-reference/bin/python -m pytest -o filterwarnings=default tests/reference
    ;;
engines)
    environment .venv-engines --editable '.[engines]'
    .venv-engines/bin/python tools/fetch_minilm.py
    # Engines wait for ever where something is amiss, and not in Python: so the process is ended.
    HF_HUB_OFFLINE=1 .venv-engines/bin/python -m pytest -o filterwarnings=default \
        --timeout=300 --timeout-method=thread tests/engines
    ;;
integrations)
    environment .venv-integrations --editable '.[integrations]'
    # Their classes for sentence-transformers, without it and torch: minibert stands in.
    environment .venv-integrations --no-deps 'llama-index-embeddings-huggingface==0.8.0' \
        'llama-index-postprocessor-sbert-rerank==0.6.0' 'sentence-transformers-haystack==2.0.0'
    .venv-integrations/bin/python tools/fetch_minilm.py
    # The frameworks' own warnings are theirs.
    .venv-integrations/bin/python -m pytest -o filterwarnings=ignore tests/frameworks/light
    ;;
frameworks)
    environment .venv-frameworks --editable '.[frameworks]'
    # These require torch, which nothing that is tested of them needs.
    environment .venv-frameworks --no-deps 'bertopic==0.17.4' 'keybert==0.9.0' \
        'pymilvus==3.0.2' 'pymilvus.model==0.3.4' 'txtai==9.14.0'
    .venv-frameworks/bin/python tools/fetch_minilm.py
    .venv-frameworks/bin/python -m pytest -o filterwarnings=ignore tests/frameworks/heavy
    ;;
browser)
    environment .venv-browser --editable '.[browser]'
    .venv-browser/bin/python tools/fetch_minilm.py
    chromium_or_stop
    .venv-browser/bin/python -m pytest tests/browser
    ;;
server)
    environment .venv-clients --editable '.[clients]'
    environment .venv-clients-cohere5 --editable '.[clients-cohere5]'
    .venv-clients/bin/python tools/fetch_minilm.py
    # The clients' own warnings are theirs.
    older=tests/clients/test_langchain_cohere.py
    .venv-clients/bin/python -m pytest -o filterwarnings=ignore tests/clients --ignore=$older
    .venv-clients-cohere5/bin/python -m pytest -o filterwarnings=ignore $older
    ;;
docs)
    environment .venv-docs --editable '.[docs]'
    .venv-docs/bin/python tools/fetch_minilm.py
    # Of what the theme's makers have to say about mkdocs, a build needs nothing.
    NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet
    .venv-docs/bin/python -m pytest tests/site
    ;;
kernels)
    environment .venv --editable '.[dev]'
    .venv/bin/python tools/fetch_minilm.py
    .venv/bin/python tools/kernels_check.py
    ;;
long)
    environment .venv --editable '.[dev]'
    environment .venv-reference 'torch==2.13.0'  # first, as above
    environment .venv-reference --editable '.[reference]'
    .venv/bin/python tools/fetch_minilm.py
    MINIBERT_TEST_KILLS=100 .venv/bin/python -m pytest -k a_kill_at_any \
        tests/corpus/test_writer.py tests/corpus/test_compacting.py tests/training/test_kills.py \
        tests/training/test_labels_file.py
    sh tools/test.sh frameworks
    .venv/bin/python tools/mutants.py
    .venv/bin/python tools/serve_check.py all
    HF_HUB_OFFLINE=1 .venv-reference/bin/python tests/reference/fuzz.py --seeds 5000 --jobs 2
    ;;
*)
    echo "usage: sh tools/test.sh [quick | reference | engines | integrations | frameworks | browser | server | docs | kernels | long]" >&2
    exit 2
    ;;
esac
