"""Settings of a model under transformers' names, for programs that read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minibert.bert.parameters import Config
from minibert.errors import CheckpointError

__all__ = ["ModelConfig"]


class ModelConfig(Config):
    """A Config with all other keys of config.json as attributes, and as a dict."""

    id2label: dict[int, str]  # names of a classifier's labels, by their numbers
    label2id: dict[str, int]  # numbers of the labels, by their names
    _settings: Mapping[str, Any]

    # Any: values of JSON, of any type.
    def __new__(cls, config: Config, settings: Mapping[str, Any], labels: int = 2) -> ModelConfig:
        """Join the sizes that were read with the whole of config.json.

        `labels` is the number of labels where config.json names none; 2 is transformers' default.
        Raises CheckpointError for id2label that is no object of numbers and names.
        """
        found = super().__new__(cls, *config)
        named = settings.get("id2label") or {n: f"LABEL_{n}" for n in range(labels)}
        found.id2label = labels_of(named)
        found.label2id = {name: number for number, name in found.id2label.items()}
        found._settings = settings
        return found

    @property
    def num_labels(self) -> int:
        """Number of labels of a classifier on the model."""
        return len(self.id2label)

    def to_dict(self) -> dict[str, Any]:  # values of JSON
        """Return the keys of config.json with their values, and the names of the labels."""
        labels = {"id2label": dict(self.id2label), "label2id": dict(self.label2id)}
        return {**self._settings, **labels}

    def __getattr__(self, name: str) -> Any:
        settings = vars(self).get("_settings", {})
        if name not in settings:
            raise AttributeError(f"config.json has no {name!r}, and minibert has no such setting.")
        return settings[name]

    def __reduce__(self) -> tuple[Any, ...]:
        return ModelConfig, (Config(*self), dict(self._settings), self.num_labels)


def labels_of(named: Any) -> dict[int, str]:  # JSON of any type
    """Return the names of labels by their numbers, which JSON has as texts."""
    try:
        return {int(number): str(name) for number, name in named.items()}
    except (AttributeError, ValueError):
        raise CheckpointError(
            f"config.json: id2label is {named!r:.60}; expected an object with a name for each "
            'number, as {"0": "LABEL_0"}.'
        ) from None
