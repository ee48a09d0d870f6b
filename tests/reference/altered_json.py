"""JSON files, altered: a value, a key, a doubled key, somewhere in the file."""

import json
import math
from pathlib import Path
from random import Random
from typing import Any

# What any place of any file may hold instead.
ODD = [
    *(None, True, False, "", -1, 0, 1, 2, 1.5, 1e30, -1e30, 10**12, 2**63, 10**30),
    *(math.inf, -math.inf, math.nan, [], {}, [1], [None], {"a": 1}, [[[]]]),
    *("nan", "x" * 10_000, "1", "null", "\ud800", "é\u2028\0", " ", "../x", "/etc/passwd"),
]

BOOLS = [True, False, None, 0, 1, "true"]
POSITIVE = [1, 2, 3, 4, 5, 8, 36, 38, 40, 41, 42, 43, 100, 512, 10**6, 20.0, "20"]
FAMILIES = [
    *("bert", "roberta", "xlm-roberta", "camembert", "distilbert", "electra", "mpnet", "albert"),
    *("modernbert", "nomic_bert", "t5", "BERT", "gpt2"),
]
CLASSES = [
    *("BertTokenizer", "BertTokenizerFast", "RobertaTokenizer", "RobertaTokenizerFast"),
    *("XLMRobertaTokenizer", "XLMRobertaTokenizerFast", "CamembertTokenizer", "AlbertTokenizer"),
    *("DistilBertTokenizer", "MPNetTokenizer", "PreTrainedTokenizerFast", "TokenizersBackend"),
    *("PreTrainedTokenizer", "ElectraTokenizer", "DPRContextEncoderTokenizer", "T5Tokenizer"),
    *("bertTokenizer", "Fast", "BertTokenizerFastFast", "AutoTokenizer"),
]
TOKEN = [
    *("[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]", "<s>", "</s>", "<pad>", "cat", "the", "zebra"),
    *("a b", " ", "\n", "é"),
    {"content": "cat", "lstrip": True, "rstrip": False, "normalized": True, "single_word": False},
    {"__type": "AddedToken", "content": "zebra", "special": True},
    {"content": None},
    {"content": "cat", "lstrip": 1},
    {"content": "cat", "unheard": True},
    {"lstrip": True},
]
ADDED = [
    {str(id): {"content": text, "special": special}}
    for id, text, special in [
        *((6, "cat", False), (81, "zebra", True), (82, "zebra", False), (500, "zebra", False)),
        *((-1, "zebra", False), (10**12, "zebra", False), (6, "", False)),
    ]
]

# The keys of a file that its readers know, with values that a folder might have for them. A key
# is altered whether the file has it or not.
CONFIG: dict[str, list[Any]] = {
    "model_type": FAMILIES,
    "hidden_act": ["relu", "gelu_new", "swish", "gelu_10", "GELU", "quick_gelu", "mish"],
    "hidden_size": POSITIVE,
    "intermediate_size": POSITIVE,
    "num_hidden_layers": POSITIVE,
    "num_attention_heads": POSITIVE,
    "vocab_size": [82, 84, 63, 62, 64, 279, 278, *POSITIVE],
    "max_position_embeddings": POSITIVE,
    "type_vocab_size": POSITIVE,
    "layer_norm_eps": [1e-5, 1e-3, 1, 1e-40, 1e-320, "1e-12", -1e-12],
    "pad_token_id": [0, 2, 3, 40, 42, 43, 100],
    "position_embedding_type": ["absolute", "relative_key", "relative_key_query", "rope"],
    "is_decoder": BOOLS,
    "is_encoder_decoder": BOOLS,
    "add_cross_attention": BOOLS,
    "pruned_heads": [{}, {"0": [1]}, {"0": []}],
    "quantization_config": [{}, {"bits": 4}, {"quant_method": "bitsandbytes"}],
    "tie_word_embeddings": BOOLS,
    "tokenizer_class": CLASSES,
    "dtype": ["float16", "bfloat16", "auto", "float64", "int8", "float33"],
    "torch_dtype": ["float16", "bfloat16", "auto", "float64", "int8", "float33"],
    "architectures": [["BertForMaskedLM"], ["BertForSequenceClassification"], ["Unheard"], "x"],
    "auto_map": [{"AutoModel": "x.Y"}, {"AutoConfig": "x.Y"}, {"AutoModel": "a/b--x.Y"}],
    "chunk_size_feed_forward": [1, 5, 7],
    "output_hidden_states": BOOLS,
    "output_attentions": BOOLS,
    "return_dict": BOOLS,
    "use_return_dict": BOOLS,
    "embedding_size": [20, 10, 128],
    "id2label": [{"0": "a"}, {"0": "a", "1": "b"}],
    "num_labels": [1, 3],
    "rope_scaling": [{"type": "linear", "factor": 2.0}, {"rope_type": "default"}],
    "rope_parameters": [{"rope_type": "linear"}, {"full_attention": {"rope_theta": 5}}],
    "attn_implementation": ["eager", "flash_attention_2", "sdpa"],
    "_attn_implementation": ["eager", "flash_attention_2", "sdpa"],
    "hidden_dropout_prob": [0.5, 1.5, "x"],
    "torchscript": BOOLS,
    "use_bfloat16": BOOLS,
    "transformers_version": ["0.0", "99.1"],
    "num_hidden_groups": [1, 2],
    "layer_types": [["full_attention"], ["sliding_attention"] * 3],
    "sliding_window": [4, 0],
    "n_layers": [1],
    "dim": [10],
}
TRANSFORMER: dict[str, list[Any]] = {
    "max_seq_length": POSITIVE,
    "do_lower_case": BOOLS,
    "transformer_task": ["feature-extraction", "fill-mask", "sequence-classification", "x"],
    "modality_config": [
        {"text": {"method": "forward", "method_output_name": "pooler_output"}},
        {"text": {"method": "forward", "method_output_name": ["last_hidden_state"]}},
        {"text": {"method": "get", "method_output_name": "last_hidden_state"}},
        {"image": {"method": "forward", "method_output_name": "last_hidden_state"}},
    ],
    "module_output_name": ["token_embeddings", "sentence_embedding", "x"],
    "processing_kwargs": [
        {"text": {"max_length": 5}},
        {"text": {"truncation": False}},
        {"text": {"padding": "max_length", "max_length": 7}},
        {"text": {"stride": 2}},
        {"common": {"max_length": 0}},
        {"text": {"return_tensors": "np"}},
        {"text": {"add_special_tokens": False}},
        {"unheard": {"max_length": 5}},
    ],
    "unpad_inputs": BOOLS,
    "query_length": [4, 6, *POSITIVE],
    "document_length": [4, 6, *POSITIVE],
    "query_expansion": [{"length": 32}, {}],
    **{
        key: [
            {"torch_dtype": "float32"},
            {"attn_implementation": "eager"},
            {"add_pooling_layer": False},
            {"num_hidden_layers": 1},
            {"hidden_act": "relu"},
            {"model_type": "t5"},
            {"unheard": 1},
            {},
        ]
        for key in ("model_args", "model_kwargs", "config_args", "config_kwargs")
    },
    **{
        key: [{"model_max_length": 7}, {"do_lower_case": False}, {"cls_token": "cat"}, {}, {"x": 1}]
        for key in ("tokenizer_args", "processor_kwargs")
    },
    "tokenizer_name_or_path": ["bert-base-uncased"],
}
OF_MODULES = "sentence_transformers.models."
MODULES: dict[str, list[Any]] = {
    "type": [
        *(OF_MODULES + kind for kind in ("Transformer", "Pooling", "Normalize", "Dense", "CNN")),
        *("Pooling", "sentence_transformers.Pooling", "sentence_transformers..Pooling"),
        *("sentence_transformers.models.Pooling.Pooling", "os.path.join", "x.Y"),
        *("sentence_transformers.models.pooling", "sentence_transformers.base.modules"),
    ],
    "path": [
        *("1_Pooling", "1_Pooling/", "./1_Pooling", "1_Pooling\\", "1_pooling", ".", "2_Pooling"),
        *("1_Pooling/../1_Pooling", "../outside", "", "//", "1_Pooling//"),
    ],
    "name": ["0", "1", "x", 1],
    "idx": [0, 1, 7, "0"],
    "kwargs": [["task"], [], {}],
}
MODES = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken", "median", "CLS"]
POOLING: dict[str, list[Any]] = {
    "pooling_mode": [*MODES, ["mean", "cls"], ["mean", "mean"], MODES[:6], ["mean", "median"]],
    "include_prompt": BOOLS,
    "embedding_dimension": [9, 20, 21, 384, "20", 20.0],
    "word_embedding_dimension": [9, 20, 21, 384],
    "pooling_mode_cls_token": BOOLS,
    "pooling_mode_mean_tokens": BOOLS,
    "pooling_mode_max_tokens": BOOLS,
    "pooling_mode_lasttoken": BOOLS,
    "pooling_mode_weightedmean_tokens": BOOLS,
    "pooling_mode_mean_sqrt_len_tokens": BOOLS,
}
MODEL: dict[str, list[Any]] = {
    "prompts": [
        {"query": "the cat ", "document": "a "},
        {"query": None},
        {"query": 5},
        {"passage": "the "},
        {"query": "[SEP]</s>"},
        {"query": "the " * 60},
        ["query"],
        {"": "the "},
    ],
    "default_prompt_name": ["query", "document", "x", ""],
    "similarity_fn_name": ["cosine", "dot", "euclidean", "manhattan", "COSINE", "dot_score"],
    "truncate_dim": [1, 5, 7, 19, 20, 21, 1000, 5.0],
    "model_type": ["SentenceTransformer", "CrossEncoder", "SparseEncoder", "x"],
    "__version__": [{"sentence_transformers": "99.0"}, "1", {}],
    "activation_fn": ["torch.nn.modules.linear.Identity", "x.Y"],
    "is_hpu_graph_enabled": [True],
}
TOKENIZER: dict[str, list[Any]] = {
    "tokenizer_class": CLASSES,
    "model_max_length": [*POSITIVE, 1e30, 10**30],
    "max_len": POSITIVE,
    "max_length": POSITIVE,
    "do_lower_case": BOOLS,
    "strip_accents": BOOLS,
    "tokenize_chinese_chars": BOOLS,
    "keep_accents": BOOLS,
    "add_prefix_space": BOOLS,
    "split_special_tokens": BOOLS,
    "padding_side": ["left", "right", "LEFT", "both"],
    "truncation_side": ["left", "right", "LEFT", "both"],
    "model_input_names": [["input_ids"], ["input_ids", "attention_mask"], "input_ids", [1], ["x"]],
    "added_tokens_decoder": ADDED,
    "extra_special_tokens": [["zebra"], {"x_token": "zebra"}, ["cat", "cat"], [5], ["zebra", None]],
    "additional_special_tokens": [["zebra"], ["cat"], [{"content": "cat"}], [""]],
    **{
        f"{name}_token": TOKEN for name in ("cls", "sep", "pad", "unk", "mask", "bos", "eos", "new")
    },
    "tokenizer_file": ["x.json", "../outside/tokenizer.json"],
    "vocab_file": ["x.txt"],
    "auto_map": [{"AutoTokenizer": ["x.Y", None]}],
    "backend": ["tokenizers", "sentencepiece", "x"],
    "is_local": BOOLS,
    "local_files_only": BOOLS,
    "never_split": [["cat"]],
    "use_fast": BOOLS,
    "clean_up_tokenization_spaces": BOOLS,
    "name_or_path": ["x"],
    "processor_class": ["x"],
    "padding": [True, "max_length"],
    "truncation": [True, False],
    "stride": [2],
    "add_bos_token": BOOLS,
    "add_eos_token": BOOLS,
    "errors": ["replace", "x"],
    "trim_offsets": BOOLS,
    "wordpieces_prefix": ["##", "@@"],
}
TOKENS: dict[str, list[Any]] = {
    **{
        f"{name}_token": TOKEN for name in ("cls", "sep", "pad", "unk", "mask", "bos", "eos", "new")
    },
    "additional_special_tokens": [["zebra"], ["cat"], [{"content": "cat"}], [""], "cat"],
    "extra_special_tokens": [["zebra"], {"x_token": "zebra"}, [None]],
    "do_lower_case": BOOLS,
    "model_max_length": POSITIVE,
    "tokenizer_class": CLASSES,
}
DENSE: dict[str, list[Any]] = {
    "in_features": [9, 10, 11, 20, "11", 11.0],
    "out_features": [7, 8, 9, 11, 20, 10**9],
    "bias": BOOLS,
    "use_residual": BOOLS,
    "activation_function": [
        *(f"torch.nn.modules.activation.{kind}" for kind in ("ReLU", "Tanh", "GELU", "Softmax")),
        *("torch.nn.modules.linear.Identity", "torch.nn.GELU", "ReLU", "os.system", "torch.nn.x"),
    ],
    "module_input_name": ["sentence_embedding", "token_embeddings", "x"],
    "module_output_name": ["sentence_embedding", "token_embeddings", "x"],
    "dimension": [10, 11, 12, "11"],
    "dropout": [0.0, 1.5, "x"],
}


class Pairs(dict):
    """An object whose keys may come twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs

    def items(self) -> Any:
        return self.pairs


def alter_json(random: Random, path: Path, known: dict[str, list[Any]]) -> str:
    """Alter one place of a JSON file, which may be missing; a second one now and then."""
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    done = []
    for _ in range(1 + (random.random() < 0.15)):
        words, content = alter_place(random, content, known)
        done.append(words)
    path.write_text(json.dumps(content))
    return f"{path.parent.name}/{path.name}: " + "; ".join(done)


def alter_place(random: Random, content: Any, known: dict[str, list[Any]]) -> tuple[str, Any]:
    """Alter one place of a JSON value: what was done, and the value then."""
    container: Any = content
    if random.random() < 0.03:
        value = random.choice(ODD)
        return f"all = {shown(value)}", value
    if known and isinstance(content, dict) and random.random() < 0.5:
        key: Any = random.choice(list(known))
    else:
        container, key = some_place(random, content)
    values = known.get(key, ODD) if isinstance(key, str) and random.random() < 0.6 else ODD
    value = random.choice(values)
    how = random.choices(["value", "gone", "doubled", "new"], [75, 10, 10, 5])[0]
    words = f"{key!r:.60} {how} {shown(value)}"
    return words, replaced(content, container, edited(container, key, value, how, random))


def edited(container: Any, key: Any, value: Any, how: str, random: Random) -> Any:
    """A list or an object with one entry altered."""
    if isinstance(container, list):
        at = key if isinstance(key, int) else 0
        before, rest = container[:at], container[at + 1 :]
        middles = {"value": [value], "gone": [], "doubled": container[at : at + 1] * 2}
        return [*before, *middles.get(how, [value, *container[at : at + 1]]), *rest]
    pairs = list(container.items())
    if how == "doubled" and key in container:
        return Pairs([*pairs, (key, value)] if random.random() < 0.5 else [(key, value), *pairs])
    if how == "gone":
        return {name: old for name, old in pairs if name != key}
    return {**container, ("unheard_of" if how == "new" else key): value}


def replaced(content: Any, old: Any, new: Any) -> Any:
    """A JSON value with one container in it replaced."""
    if content is old:
        return new
    if isinstance(content, Pairs):
        return content
    if isinstance(content, dict):
        return {key: replaced(value, old, new) for key, value in content.items()}
    if isinstance(content, list):
        return [replaced(value, old, new) for value in content]
    return content


def some_place(random: Random, content: Any) -> tuple[Any, Any]:
    """A list or an object somewhere in a value, and a key of it; nearer the top more often."""
    if not isinstance(content, dict | list) or not content:
        return content if isinstance(content, dict | list) else {}, "unheard_of"
    key = random.choice(list(content) if isinstance(content, dict) else range(len(content)))
    below = content[key]
    if isinstance(below, dict | list) and below and random.random() < 0.7:
        return some_place(random, below)
    return content, key


def shown(value: Any) -> str:
    """A value, short enough for a line."""
    return ascii(value)[:60]


NORMALIZERS = [
    {"type": "Lowercase"},
    {"type": "NFC"},
    {"type": "NFKD"},
    {"type": "StripAccents"},
    {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "Lowercase"}]},
    {"type": "Sequence", "normalizers": []},
    {"type": "Replace", "pattern": {"Regex": "["}, "content": "x"},
    {"type": "Replace", "pattern": {"String": "a"}, "content": "b"},
    {"type": "Prepend", "prepend": "x"},
    {"type": "Precompiled", "precompiled_charsmap": "AAAA"},
    {"type": "Precompiled", "precompiled_charsmap": None},
    {"type": "BertNormalizer", "clean_text": 1},
    {"type": "Unheard"},
]
PRE_TOKENIZERS = [
    {"type": "Whitespace"},
    {"type": "WhitespaceSplit"},
    {"type": "BertPreTokenizer"},
    {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": False},
    {"type": "Metaspace", "replacement": "xx", "prepend_scheme": "always", "split": True},
    {"type": "Metaspace", "replacement": "_", "prepend_scheme": "never", "split": False},
    {"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated", "invert": False},
    {"type": "Digits", "individual_digits": True},
    {"type": "Sequence", "pretokenizers": []},
    {"type": "Unheard"},
]
POST_PROCESSORS = [
    {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
    {"type": "BertProcessing", "sep": ["[SEP]", 10**9], "cls": ["[CLS]", 2]},
    {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
    {
        "type": "TemplateProcessing",
        "single": [{"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "B", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 1}}],
        "special_tokens": {},
    },
    {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "[X]", "type_id": 0}}],
        "pair": [{"SpecialToken": {"id": "[X]", "type_id": 0}}],
        "special_tokens": {"[X]": {"id": "[X]", "ids": [4, 5], "tokens": ["a", "b"]}},
    },
    {
        "type": "TemplateProcessing",
        "single": [{"Sequence": {"id": "A", "type_id": 7}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 9}}],
        "special_tokens": {},
    },
    {"type": "Sequence", "processors": []},
    {"type": "Unheard"},
]
TOKEN_JSON: dict[str, list[Any]] = {
    "normalizer": NORMALIZERS,
    "pre_tokenizer": PRE_TOKENIZERS,
    "post_processor": POST_PROCESSORS,
    "decoder": [{"type": "WordPiece"}, {"type": "Unheard"}],
    "truncation": [
        {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0},
        {"direction": "Left", "max_length": 4, "strategy": "OnlyFirst", "stride": 9},
        {"direction": "Left"},
        {"max_length": -1},
    ],
    "padding": [
        {"strategy": "BatchLongest", "direction": "Left", "pad_to_multiple_of": 8, "pad_id": 0,
         "pad_type_id": 0, "pad_token": "[PAD]"},
        {"strategy": {"Fixed": 9}, "direction": "Left", "pad_id": 0, "pad_token": "cat"},
        {"direction": 5},
        {"pad_token": 5},
    ],
    "version": ["1.0", "2.0", 1.0],
}  # fmt: skip
IDS = [*ODD, 5, 6, 81, 82, 83, 300, -5, 2**32, 2**31, 6.0, "6"]


def alter_tokenizer_json(random: Random, place: Path) -> str:
    """Alter a part of tokenizer.json: a step, an added token, the model, or any place in it."""
    path = place / "model" / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    words = ""
    if random.random() < 0.4:
        # The class that takes the file as it stands: what is altered then counts.
        settings = json.loads(
            (place / "model" / "tokenizer_config.json").read_text(encoding="utf-8")
        )
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"
        (place / "model" / "tokenizer_config.json").write_text(json.dumps(settings))
        words = "as it stands, "
    if random.random() < 0.3:
        words += alter_added(random, content["added_tokens"])
    elif random.random() < 0.3:
        done, content["model"] = alter_place(random, content["model"], MODEL_JSON)
        words += f"model: {done}"
    else:
        done, content = alter_place(random, content, TOKEN_JSON)
        words += done
    path.write_text(json.dumps(content))
    return f"tokenizer.json: {words}"


MODEL_JSON: dict[str, list[Any]] = {
    "type": ["WordPiece", "BPE", "Unigram", "WordLevel"],
    "unk_token": ["[UNK]", "cat", "nothing"],
    "unk_id": [0, 3, 62, 63, -1],
    "continuing_subword_prefix": ["##", "", "@@"],
    "end_of_word_suffix": ["", "</w>"],
    "max_input_chars_per_word": [1, 3, 100],
    "byte_fallback": BOOLS,
    "fuse_unk": BOOLS,
    "ignore_merges": BOOLS,
    "dropout": [0.0, 0.5, 1.0, 2],
    "vocab": [{"[UNK]": 0}, {"a": 0}, [["a", 0.0]], [["<unk>", 0.0]] * 4, {"a": -1}, {"a": 1.5}],
    "merges": [[], ["a b"], [["a", "b", "c"]], [["zz", "zz"]], ["ab"], [[1, 2]]],
}


def alter_added(random: Random, added: list[Any]) -> str:
    """Alter one of the added tokens, or add one."""
    if random.random() < 0.5:
        token = {**random.choice(added)}
        token |= {"content": random.choice(["zebra", "cat", "a b", "", "é"]), "special": False}
        token["id"] = random.choice([5, 81, 82, 83, 300, token["id"]])
        added.append(token)
    token = random.choice(added)
    key = random.choice(["id", "id", "content", "single_word", "lstrip", "normalized", "special"])
    if key == "id":
        token[key] = random.choice(IDS)
    else:
        token[key] = random.choice(TOKEN if key == "content" else BOOLS + ODD)
    return f"added token {shown(token)}, {key} = {shown(token[key])}"
