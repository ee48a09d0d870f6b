"""Environment of a process -> the settings of a server, for hosts that run no command.

The variable of --max-body is MINIBERT_MAX_BODY, and so on: those of `minibert serve`. Start at
settings_from_environment.
"""

from __future__ import annotations

import logging
import math
import os
import stat
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from minibert.common.environment import is_on, listed, variable_of
from minibert.kernels.devices import device_name
from minibert.server.settings import ModelPlace, Settings

__all__ = ["check_names", "keys_of", "place_of", "settings_from_environment"]

logger = logging.getLogger(__name__)


def settings_from_environment(environ: Mapping[str, str]) -> Settings:
    """Return the settings that `minibert serve` would have in this environment, without arguments.

    Empty variables count as absent, but for the API key. Raises ValueError for a value that cannot
    be meant, with the variable's name, and OSError for a file of keys that is not there.
    """

    def value_of(name: str, read: Callable[[str], Any]) -> Any:
        variable = variable_of(name)
        text = environ.get(variable)
        try:
            return read(text) if text else None
        except ValueError as error:
            raise ValueError(f"{variable}: {error}") from None

    models = value_of("model", listed)
    if not models:
        raise ValueError(f"{variable_of('model')} names no model; set it to a folder or a name.")
    places = tuple(map(place_of, models))
    aliases = tuple(value_of("alias", lambda text: list(map(pair, listed(text)))) or ())
    check_names(places, aliases)
    found = {name: value_of(name, read) for name, read in readers().items()}
    opened_as = {name: value_of(name, read) for name, read in OPENED_AS.items()}
    return Settings(
        places,
        aliases,
        api_keys=keys_of(environ, value_of("api_key", listed) or [], value_of("api_key_file", str)),
        opened_as={
            **opened_as,
            "device": opened_as["device"] or "cpu",
            "dtype": opened_as["dtype"] or "float32",
            "local_files_only": False,
            "reproducible": bool(found["reproducible"]),
            "short_inputs": not value_of("no_short_inputs", is_on),
        },
        **{name: value for name, value in found.items() if value is not None},
    )


def place_of(text: str) -> ModelPlace:
    """Read a model: a folder is served under its last part, a name of the hub under itself.

    NAME=FOLDER gives it a name. Raises ValueError if one of the two is missing.
    """
    if os.path.isdir(text):
        return ModelPlace(os.path.basename(os.path.abspath(text)), text)
    name, is_named, place = text.partition("=")
    if not is_named:
        return ModelPlace(text, text)
    if not name or not place:
        raise ValueError(f"The model is {text!r}; expected NAME=FOLDER, or a folder or name alone.")
    return ModelPlace(name, place)


def check_names(models: Sequence[ModelPlace], aliases: Sequence[tuple[str, str]]) -> None:
    """Raise ValueError for a name that stands for two models, and for an alias of no model."""
    counts = Counter([model.name for model in models] + [other for other, _ in aliases])
    for name, count in counts.items():
        if count > 1:
            raise ValueError(
                f"{name!r} names {count} models; give each its own, as NAME=FOLDER or by --alias."
            )
    known = {model.name for model in models}
    tasks = {f"{name}:{task}" for name in known for task in ("query", "document")}
    for other, name in aliases:
        if name not in known | tasks:
            raise ValueError(
                f"The alias {other}={name}: there is no model {name!r}; the models are "
                f"{', '.join(sorted(known))}."
            )


def keys_of(
    environ: Mapping[str, str], given: Sequence[str], file: str | os.PathLike[str] | None
) -> tuple[str, ...]:
    """Return all keys: those given, and those of a file, one a line.

    Raises ValueError for an empty key, and for a file without any; OSError for a file that is not
    there. A variable that was to hold a secret, and does not, must not open the server to all.
    """
    variable = variable_of("api_key")
    if not all(key.strip() for key in given) or (not given and variable in environ):
        raise ValueError(f"--api-key or {variable} is empty; leave it out to serve without a key.")
    return (*given, *(keys_in(Path(file)) if file is not None else ()))


def keys_in(path: Path) -> list[str]:
    """Read a file of keys; warn if all users can read it."""
    found = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    keys = [line for line in found if line]
    if not keys:
        raise ValueError(f"The file of keys {str(path)!r} has none; write one in each line.")
    if os.name == "posix" and path.stat().st_mode & stat.S_IROTH:
        logger.warning("%s, which has keys, can be read by all users: chmod o-r it.", path)
    return keys


def readers() -> dict[str, Callable[[str], Any]]:
    """Return the function that reads each option of Settings, by the type of its field."""
    others = {"models", "aliases", "api_keys", "opened_as"}
    found = {
        name: (lambda text, kind=kind: choice(text, get_args(kind)))
        if get_origin(kind) is Literal
        else BY_TYPE[kind]
        for name, kind in get_type_hints(Settings).items()
        if name not in others
    }
    return {**found, "port": port}


def positive(text: str) -> int:
    """Read a whole number from 1 up."""
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{text!r} is no whole number from 1 up")
    return int(text)


def port(text: str) -> int:
    """Read the number of a port."""
    if not text.isdecimal() or int(text) > 65535:
        raise ValueError(f"{text!r} is no whole number from 0 to 65535")
    return int(text)


def above_zero(text: str) -> float:
    """Read a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ValueError(f"{text!r} is no number above 0")
    return value


def choice(text: str, allowed: Sequence[str]) -> str:
    """Read one of several words."""
    if text not in allowed:
        raise ValueError(f"{text!r} is none of {', '.join(allowed)}")
    return text


def pair(text: str) -> tuple[str, str]:
    """Read the two sides of OTHER=NAME."""
    other, _, name = text.partition("=")
    if not other or not name:
        raise ValueError(f"{text!r} is not OTHER=NAME")
    return other, name


BY_TYPE: dict[Any, Callable[[str], Any]] = {
    int: positive,
    int | None: positive,
    float: above_zero,
    bool: is_on,
    str: str,
    str | None: str,
    tuple[str, ...]: lambda text: tuple(listed(text)),
}
# Arguments of every model's constructor.
OPENED_AS: dict[str, Callable[[str], Any]] = {
    "device": device_name,
    "dtype": lambda text: choice(text, ("float32", "float16")),
    "threads": positive,
    "revision": str,
    "cache_folder": str,
}
