# Read by the scripts beside it: environment NAME REQUIREMENT... makes or updates a virtual
# environment in the repository and installs what is asked for, with this checkout itself.
# PYTHON chooses the interpreter (3.11 or later). environment_kept, with the same arguments, leaves
# an environment as it is that it made for the pyproject.toml there is.

environment() {
    directory=$1
    shift
    if [ ! -x "$directory/bin/python" ]; then
        "${PYTHON:-python3}" -m venv "$directory"
    fi
    "$directory/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
        echo "minibert needs Python 3.11 or later; set PYTHON to one and delete $directory" >&2
        exit 1
    }
    "$directory/bin/python" -m pip install --quiet --disable-pip-version-check "$@" >&2
}

environment_kept() {
    if [ -x "$1/bin/python" ] && cmp -s pyproject.toml "$1/pyproject.toml"; then
        return
    fi
    environment "$@"
    cp pyproject.toml "$1/pyproject.toml"
}
