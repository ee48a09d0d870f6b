"""Environment of a process, and options of a command -> the settings of a server.

The variable of --max-body is MINIBERT_MAX_BODY, and so on: those of `minibert serve`. Start at
settings_from_environment.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from minibert.errors import MinibertError
from minibert.kernels.devices import device_name
from minibert.server.settings import ModelPlace, Settings

__all__ = [
    "UsageError",
    "origin",
    "pair",
    "place_of",
    "port",
    "settings_from_environment",
    "variable_of",
]

# Values of an option that is on or off.
ON, OFF = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


class UsageError(MinibertError, ValueError):
    """Options of the command that cannot be meant, or one that is missing."""


def settings_from_environment(
    environ: Mapping[str, str], given: Mapping[str, Any] = MappingProxyType({})
) -> Settings:
    """Return the settings that `minibert serve` has in this environment.

    `given` are options of the command, by their names, which go before the environment's; None is
    one that is not given. Empty variables count as absent, but for the API key. Raises ValueError
    for a value that cannot be meant, with the variable's name, UsageError for such options, and
    OSError for a file of keys that is not there.
    """

    def value_of(name: str, read: Callable[[str], Any]) -> Any:
        if (value := given.get(name)) is not None:
            return tuple(value) if isinstance(value, list) else value
        variable = variable_of(name)
        text = environ.get(variable)
        try:
            return read(text) if text else None
        except ValueError as error:
            raise ValueError(f"{variable}: {error}") from None

    models = value_of("model", listed) or ()
    if not models and not value_of("corpus", str):  # a corpus brings its own model
        if "model" in given:
            raise UsageError(f"No model is named: give MODEL, or set {variable_of('model')}.")
        raise ValueError(f"No model is named: set {variable_of('model')}.")
    aliases = tuple(value_of("alias", lambda text: list(map(pair, listed(text)))) or ())
    try:
        places = tuple(map(place_of, models))
        check_names(places, aliases)
    except ValueError as error:
        if given.get("model") or given.get("alias"):
            raise UsageError(str(error)) from None
        raise
    check_place(environ, given)
    keys, warnings = keys_of(environ, given)
    found = {name: value_of(name, read) for name, read in readers().items()}
    opened_as = {name: value_of(name, read) for name, read in OPENED_AS.items()}
    if (short := value_of("no_short_inputs", switch)) is not None:
        opened_as["short_inputs"] = not short
    opened_as["local_files_only"] = value_of("offline", switch)
    return Settings(
        places,
        aliases,
        api_keys=keys,
        warnings=(*warnings, *unknown_variables(environ)),
        opened_as={name: value for name, value in opened_as.items() if value is not None},
        **{name: value for name, value in found.items() if value is not None},
    )


def variable_of(option: str) -> str:
    """Return the variable of an option: max-body, or max_body -> MINIBERT_MAX_BODY."""
    return f"MINIBERT_{option.upper().replace('-', '_')}"


def listed(text: str) -> list[str]:
    """Split a value at its commas, without blanks around the parts."""
    return [part.strip() for part in text.split(",") if part.strip()]


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
    for name in counts:
        if name.endswith((":query", ":document")):
            raise ValueError(
                f"The name {name!r} ends like a task of a model, as in NAME:query; give another "
                "name, as NAME=FOLDER."
            )
    known = {model.name for model in models}
    tasks = {f"{name}:{task}" for name in known for task in ("query", "document")}
    for other, name in aliases:
        if name not in known | tasks:
            raise ValueError(
                f"The alias {other}={name}: there is no model {name!r}; the models are "
                f"{', '.join(sorted(known))}."
            )


def check_place(environ: Mapping[str, str], given: Mapping[str, Any]) -> None:
    """Raise ValueError for two places to listen at; options may go before variables."""
    for other in ("host", "port"):
        if given.get("unix_socket") is not None and given.get(other) is not None:
            raise UsageError(f"--unix-socket takes the place of --{other}; leave one of them out.")
        names = [variable_of("unix_socket"), variable_of(other)]
        if not any(given.get(name) is not None for name in ("unix_socket", other)) and all(
            environ.get(name) for name in names
        ):
            raise ValueError(f"{names[0]} takes the place of {names[1]}; leave one of them out.")


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Return a warning for each variable that looks like an option's, and is none."""
    known = sorted(option.upper() for option in (*readers(), *OPENED_AS, *OTHER_OPTIONS))
    prefix, warnings = variable_of(""), []
    for name in sorted(environ):
        option = name.removeprefix(prefix)
        if name.startswith(prefix) and option not in known:
            nearest = [variable_of(one) for one in get_close_matches(option, known, 1)]
            hint = f"did you mean {nearest[0]}?" if nearest else "`minibert serve --help` has all."
            warnings.append(f"{name} is no variable of a server, and is ignored; {hint}")
    return warnings


def keys_of(
    environ: Mapping[str, str], given: Mapping[str, Any]
) -> tuple[tuple[str, ...], list[str]]:
    """Return all keys, of options or variables and of the file that one of them names; warnings.

    Raises ValueError for an empty key, and for a variable that is there and empty: it was to hold a
    secret, and must not open the server to all. Raises OSError for a file that cannot be read.
    """
    variable = variable_of("api_key")
    keys = [key.strip() for key in given.get("api_key") or listed(environ.get(variable, ""))]
    if not all(keys) or (not keys and variable in environ):
        raise ValueError(f"--api-key or {variable} is empty; leave it out to serve without a key.")
    variable = variable_of("api_key_file")
    file = given.get("api_key_file")
    option = "--api-key-file" if file else variable
    if not (file := file or environ.get(variable)):
        return tuple(keys), []
    try:
        of_file = keys_in(file)
        is_open = os.name == "posix" and os.stat(file).st_mode & stat.S_IROTH
    except OSError as error:
        raise type(error)(f"{option} {file!r}: {error.strerror}") from error
    told = f"All users of this machine can read the keys in {file!r}; run: chmod o-r {file}"
    return (*keys, *of_file), [told] if is_open else []


def keys_in(file: str) -> list[str]:
    """Read a file of keys, one a line; lines that begin with # are none.

    Raises ValueError for a file without a key.
    """
    found = [line.strip() for line in Path(file).read_text(encoding="utf-8").splitlines()]
    keys = [line for line in found if line and not line.startswith("#")]
    if not keys:
        raise ValueError(
            f"The file of keys {file!r} has none; write one in each line. Lines that begin with # "
            "are comments."
        )
    return keys


def readers() -> dict[str, Callable[[str], Any]]:
    """Return the function that reads each option of Settings, by the type of its field."""
    others = {"models", "aliases", "api_keys", "cors", "opened_as", "port", "warnings"}
    found = {
        name: (lambda text, kind=kind: choice(text, get_args(kind)))
        if get_origin(kind) is Literal
        else BY_TYPE[kind]
        for name, kind in get_type_hints(Settings).items()
        if name not in others
    }
    return {**found, "port": port, "cors": lambda text: tuple(map(origin, listed(text)))}


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


def switch(text: str) -> bool:
    """Read what is on or off."""
    return choice(text.lower(), (*ON, *OFF)) in ON


def choice(text: str, allowed: Sequence[str]) -> str:
    """Read one of several words."""
    if text not in allowed:
        raise ValueError(f"{text!r} is none of {', '.join(allowed)}")
    return text


def origin(text: str) -> str:
    """Read the origin of pages, as browsers send it."""
    if text not in ("*", "null") and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/\s]+", text):
        raise ValueError(
            f"{text!r} is no origin; expected *, or a scheme and a host, as https://a.org"
        )
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
    bool: switch,
    str: str,
    str | None: str,
}
# Arguments of every model's constructor.
OPENED_AS: dict[str, Callable[[str], Any]] = {
    "device": device_name,
    "dtype": lambda text: choice(text, ("float32", "float16")),
    "threads": positive,
    "revision": str,
    "cache_folder": str,
}
OTHER_OPTIONS = ("model", "alias", "api_key", "api_key_file", "no_short_inputs", "offline")
