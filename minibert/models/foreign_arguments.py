"""Arguments that the reference passes on to torch: taken where they change no result here.

Some say the same as an argument of minibert, and count as that. All others are refused by name,
with the way to have the same. Start at meaning_of.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from minibert.checkpoint.transformer_settings import HARMLESS_MODEL_ARGS
from minibert.common.arguments import check_counts, type_of

__all__ = ["Meaning", "check_neutral", "meaning_of", "missing_name"]

# Keys of processor_kwargs and config_kwargs that change no vector and no score, whatever their
# value.
HARMLESS_TOKENIZER_ARGS = {"clean_up_tokenization_spaces", "trust_remote_code", "use_fast"}
HARMLESS_CONFIG_ARGS = {
    *("attn_implementation", "attention_probs_dropout_prob", "classifier_dropout"),
    *("hidden_dropout_prob", "trust_remote_code", "unpad_inputs", "use_cache"),
    "use_memory_efficient_attention",
}
# Values that change nothing, of keys whose other values would.
NEUTRAL = {
    "device_map": ("auto", "cpu"),
    "padding_side": ("right",),
    "output_attentions": (False,),
    "output_hidden_states": (False,),
    "return_dict": (True,),
}
ADVICE = {
    "backend": "There is one way to compute here: leave it out.",
    "cache_dir": "Pass cache_folder= beside it.",
    "device_map": 'Pass device="cuda" beside it.',
    "do_lower_case": "Write it into the folder's sentence_bert_config.json.",
    "local_files_only": "Pass it beside it.",
    "model_card_data": "Set model.card to the text of the README.md that save_pretrained writes.",
    "keep_in_fp32_modules": "All after the BERT is computed in float32: leave it out.",
    "modules": "Open a folder that has the BERT's own classifier.",
    "revision": "Pass it beside it.",
    "token": "Pass it beside it.",
}


def missing_name(kind: str, name: str, instead: Mapping[str, str]) -> AttributeError:
    """Make an error for an attribute that is not there, with advice for the names of `instead`."""
    advice = f"; minibert does not have it. {instead[name]}" if name in instead else ""
    return AttributeError(f"{kind} has no attribute {name!r}{advice}")


class Meaning(NamedTuple):
    """Settings of minibert that an argument for torch stands for; None where it says nothing."""

    dtype: object = None  # of the BERT's weights
    max_seq_length: int | None = None  # in tokens
    num_labels: int | None = None  # of a cross-encoder


def meaning_of(
    model_kwargs: object = None,
    processor_kwargs: object = None,
    config_kwargs: object = None,
    *,
    backend: object = "torch",
    caller: str = "model_kwargs",
    **others: object,
) -> Meaning:
    """Read the arguments of the reference's constructors that minibert has no use for.

    The first three are None or dicts, `others` None or empty. `caller` is what took the first one,
    for messages. A dtype of "auto", which is the
    file's own, counts as None: minibert computes in float32.

    Raises ValueError for what would change a result in another way, TypeError for no dict.
    """
    check_neutral(**others)
    if backend != "torch":
        raise ValueError(f"backend is {backend!r:.80}. {ADVICE['backend']}")
    of_model = checked(caller, model_kwargs, HARMLESS_MODEL_ARGS)
    known = HARMLESS_TOKENIZER_ARGS | {"model_max_length"}
    length = checked("processor_kwargs", processor_kwargs, known).get("model_max_length")
    check_counts(model_max_length=length)
    of_config = checked("config_kwargs", config_kwargs, HARMLESS_CONFIG_ARGS | {"num_labels"})
    labels = of_config.get("num_labels")
    check_counts(num_labels=labels)
    dtypes = [of_model.get(key) for key in ("dtype", "torch_dtype")]
    dtype = next((value for value in dtypes if value not in (None, "auto")), None)
    return Meaning(dtype, length, labels)  # type: ignore[arg-type]  # counts


def check_neutral(**given: object) -> None:
    """Raise ValueError for an argument that is neither None nor empty."""
    for name, value in given.items():
        if value is not None and value != [] and value != {}:
            advice = ADVICE.get(name, "minibert has no use for it: leave it out.")
            raise ValueError(f"{name} is {value!r:.80}. {advice}")


def checked(name: str, given: object, known: set[str]) -> Mapping[str, object]:
    """Return the dict of an argument; ValueError for a key that is neither known nor neutral."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise TypeError(f"{name} is {type_of(given)} ({given!r:.40}); expected a dict.")
    for key, value in given.items():
        is_neutral = value is None or value in NEUTRAL.get(key, ())
        if not is_neutral and (key not in known or key in NEUTRAL):
            advice = ADVICE.get(key, f"minibert takes only {', '.join(sorted(known))} there.")
            raise ValueError(f"{name} has {key!r:.40}: {value!r:.40}. {advice}")
    return given
