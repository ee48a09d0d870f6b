"""Folders of many kinds, each written by sentence-transformers itself around a tiny random BERT.

FOLDERS maps a name to a function that writes one. What follows a name are edits that turn a folder
as 6.2 writes it into what an older release, or a hand, would have left.
"""

import json
import shutil

import torch
from golden_files import REMOVED, edit_json
from golden_models import FAMILIES, LETTERS, SIZES, VOCABULARY, config, tokenizer
from golden_models import awkward as drawn
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import (
    Dense,
    Dropout,
    LayerNorm,
    Normalize,
    Pooling,
    Transformer,
    WeightedLayerPooling,
)
from tokenizers import AddedToken
from torch import nn
from transformers import (
    AutoModel,
    BertForMaskedLM,
    BertModel,
    FunnelTokenizer,
    HerbertTokenizer,
    PreTrainedTokenizerFast,
    SplinterTokenizer,
)

WIDTH = SIZES["hidden_size"]
MODES = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
OLD = "sentence_transformers.models."
CONFIG = "config_sentence_transformers.json"
WORDS = "tokenizer_config.json"
BERT = "sentence_bert_config.json"


def awkward(module):
    """Less than in the golden files: mean_sqrt_len_tokens has six times the rounding of both."""
    return drawn(module, 0.3)


def write(folder, *modules, model=None, words=None, transformer=None, **arguments):
    """Save a model of some modules after the Transformer, the way sentence-transformers does."""
    parts = folder.parent / f"{folder.name}-parts"
    (model or awkward(BertModel(config()))).save_pretrained(parts)
    (words or tokenizer()).save_pretrained(parts)
    first = Transformer(str(parts), **(transformer or {}))
    whole = SentenceTransformer(modules=[first, *modules], device="cpu", **arguments)
    whole.save_pretrained(str(folder), create_model_card=False)
    shutil.rmtree(parts)


def pooling(*modes, **arguments):
    return Pooling(WIDTH, pooling_mode=list(modes) or "mean", **arguments)


def dense(width=WIDTH, out=7, activation=None, **arguments):
    made = Dense(width, out, activation_function=activation or nn.Tanh(), **arguments)
    return awkward(made)


def weighted_layers(start, layers=3):
    weights = torch.randn(layers + 1 - start) + 1
    return WeightedLayerPooling(WIDTH, layers, start, nn.Parameter(weights))


def layer_norm(width=WIDTH):
    made = awkward(LayerNorm(width))
    with torch.no_grad():
        made.norm.weight += 1
    return made


def made(*modules, then=(), **arguments):
    """A folder of modules, each a function that makes one, and edits of what was written."""

    def make(folder):
        torch.manual_seed(20261124)
        for name in ("model", "words"):
            if name in arguments:
                arguments[name] = arguments[name]()
        write(folder, *(module() for module in modules), **arguments)
        for change in then:
            change(folder)

    return make


def changed(file, **changes):
    return lambda folder: edit_json(folder / file, **changes)


ALL_STATES = changed("config.json", output_hidden_states=True)


def without(*names):
    return lambda folder: [(folder / name).unlink() for name in names]


def old_modules(folder):
    """The names of types up to release 5, and settings under their older keys."""
    path = folder / "modules.json"
    entries = json.loads(path.read_text())
    for entry in entries:
        entry["type"] = OLD + entry["type"].rpartition(".")[2]
    path.write_text(json.dumps(entries))
    for entry in entries:
        if entry["type"] == OLD + "Pooling":
            settings = folder / entry["path"] / "config.json"
            modes = json.loads(settings.read_text())["pooling_mode"]
            modes = [modes] if isinstance(modes, str) else modes
            names = {
                "cls": "pooling_mode_cls_token",
                "lasttoken": "pooling_mode_lasttoken",
            }
            flags = {
                names.get(m, f"pooling_mode_{m.replace('_tokens', '')}_tokens"): m in modes
                for m in reversed(MODES)
            }
            edit_json(
                settings, word_embedding_dimension=WIDTH, embedding_dimension=REMOVED,
                pooling_mode=REMOVED, **flags,
            )  # fmt: skip


def in_a_folder_of_its_own(folder):
    inner = folder / "0_Transformer"
    inner.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", WORDS, BERT):
        if (folder / name).exists():
            (folder / name).rename(inner / name)
    entries = json.loads((folder / "modules.json").read_text())
    entries[0]["path"] = "0_Transformer"
    (folder / "modules.json").write_text(json.dumps(entries))


def vocab_txt_only(folder):
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    words = sorted(vocabulary, key=vocabulary.get)
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in words))
    (folder / "tokenizer.json").unlink()


def renamed(old, new):
    return lambda folder: (folder / old).rename(folder / new)


def no_folder_for_normalize(folder):
    entries = json.loads((folder / "modules.json").read_text())
    (entry,) = (e for e in entries if e["type"].endswith("Normalize"))
    shutil.rmtree(folder / entry["path"])


def as_type(dtype):
    """The tensors of the BERT in another type."""

    def change(folder):
        path = folder / "model.safetensors"
        tensors = {name: tensor.to(dtype) for name, tensor in load_file(path).items()}
        save_file(tensors, path, metadata={"format": "pt"})
        edit_json(folder / "config.json", dtype=str(dtype).removeprefix("torch."))

    return change


def fast_tokenizer(**settings):
    """The same words under the class that takes tokenizer.json as it stands."""

    def make():
        words = tokenizer()
        names = {
            f"{name}_token": f"[{name.upper()}]" for name in ("cls", "sep", "pad", "unk", "mask")
        }
        return PreTrainedTokenizerFast(
            tokenizer_object=words.backend_tokenizer, model_max_length=41, **names, **settings
        )

    return make


def words_with_added_tokens():
    """Tokens that are in the vocabulary, and others that get the ids after it."""
    words = tokenizer()
    words.add_tokens([AddedToken("cat", normalized=True), AddedToken("b", single_word=True)])
    words.add_tokens(["Paris", AddedToken("xy", lstrip=True)])
    return words


def byte_files(folder):
    """The words of a byte-level tokenizer in the files of older releases."""
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    (folder / "merges.txt").write_text(
        "#version: 0.2\n" + "".join(f"{' '.join(pair)}\n" for pair in model["merges"])
    )
    (folder / "tokenizer.json").unlink()


def funnel():
    vocabulary = {word: number for number, word in enumerate(FUNNEL_SPECIAL + VOCABULARY[5:])}
    return FunnelTokenizer(vocab=vocabulary, model_max_length=41)


def splinter():
    vocabulary = {word: number for number, word in enumerate([*VOCABULARY, "[QUESTION]"])}
    return SplinterTokenizer(vocab=vocabulary, do_lower_case=False, model_max_length=41)


def herbert():
    words = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *LETTERS, "C", ".", ",", "é", "中"]
    merges = [("t", "h"), ("th", "e</w>"), ("c", "a"), ("ca", "t</w>"), ("d", "o"), ("C", "a")]
    words += [f"{word}</w>" for word in words[5:]] + ["".join(pair) for pair in merges]
    vocabulary = {word: number for number, word in enumerate(words)}
    return HerbertTokenizer(vocab=vocabulary, merges=merges, model_max_length=41)


def old_masked_lm():
    return awkward(BertForMaskedLM(config()))


def wide_config():
    """More word embeddings than the vocabulary has words."""
    made = config()
    made.vocab_size = 90
    return made


def model(**changes):
    return lambda: awkward(BertModel(config(**changes)))


FUNNEL_SPECIAL = ["<pad>", "<unk>", "<cls>", "<sep>", "<mask>", "<s>", "</s>"]
PROMPTS = {"query": "the cat ", "document": "dog: ", "passage": "a b ", "other": ""}

FOLDERS = {
    **{mode: made(lambda mode=mode: pooling(mode)) for mode in MODES},
    **{
        f"{mode} in old keys": made(lambda mode=mode: pooling(mode), then=[old_modules])
        for mode in MODES
    },
    **{
        f"{mode} without the prompt": made(
            lambda mode=mode: pooling(mode, include_prompt=False), prompts=PROMPTS
        )
        for mode in MODES
    },
    "all poolings": made(lambda: pooling(*MODES)),
    "all poolings in old keys": made(lambda: pooling(*MODES), then=[old_modules]),
    "mean and cls": made(lambda: pooling("mean", "cls")),
    "all poolings without the prompt": made(
        lambda: pooling(*MODES, include_prompt=False), prompts=PROMPTS, default_prompt_name="query"
    ),
    "no flag at all": made(
        pooling,
        then=[old_modules, changed("1_Pooling/config.json", pooling_mode_mean_tokens=False)],
    ),
    "dense": made(pooling, dense),
    "dense, normalize": made(pooling, dense, Normalize),
    "normalize, dense": made(pooling, Normalize, dense),
    "normalize, dense, normalize": made(pooling, Normalize, dense, Normalize, then=[old_modules]),
    "dense without bias": made(pooling, lambda: dense(bias=False)),
    "two denses": made(pooling, dense, lambda: dense(7, 11, nn.ReLU())),
    "dense after two poolings": made(lambda: pooling("cls", "max"), lambda: dense(2 * WIDTH, 9)),
    **{
        f"dense {activation.__name__}": made(pooling, lambda a=activation: dense(activation=a()))
        for activation in (
            nn.Identity,
            nn.ReLU,
            nn.GELU,
            nn.Sigmoid,
            nn.SiLU,
            nn.LeakyReLU,
            nn.ReLU6,
            nn.Hardtanh,
            nn.ELU,
            nn.Mish,
            nn.Softplus,
        )
    },
    "dense without an activation's name": made(
        pooling, dense, then=[changed("2_Dense/config.json", activation_function=REMOVED)]
    ),
    "dense, short name of the activation": made(
        pooling,
        lambda: dense(activation=nn.GELU()),
        then=[changed("2_Dense/config.json", activation_function="torch.nn.GELU")],
    ),
    "dense with a residual": made(pooling, lambda: dense(out=WIDTH, use_residual=True)),
    "dense with a projected residual": made(pooling, lambda: dense(use_residual=True)),
    "dense on tokens": made(
        lambda: dense(module_input_name="token_embeddings"), lambda: Pooling(7), Normalize
    ),
    "normalized tokens": made(
        lambda: Normalize("token_embeddings"), lambda: pooling("max", "mean")
    ),
    "normalize before anything": made(Normalize, pooling),
    **{
        f"weighted layers from {start}": made(
            lambda start=start: weighted_layers(start), pooling, Normalize, then=[ALL_STATES]
        )
        for start in range(4)
    },
    "weighted layers, then the first token": made(
        lambda: weighted_layers(1), lambda: pooling("cls"), then=[ALL_STATES]
    ),
    "weighted layers, dense on tokens, all poolings without the prompt": made(
        lambda: weighted_layers(1),
        lambda: dense(module_input_name="token_embeddings"),
        lambda: Pooling(7, pooling_mode=list(MODES), include_prompt=False),
        prompts=PROMPTS,
        then=[ALL_STATES],
    ),
    "weighted layers without all states": made(lambda: weighted_layers(1), pooling),
    "weighted layers, all states by config_args": made(
        lambda: weighted_layers(2),
        pooling,
        then=[changed(BERT, config_args={"output_hidden_states": True})],
    ),
    "weighted layers under an older key": made(
        lambda: weighted_layers(2),
        pooling,
        then=[
            ALL_STATES,
            changed(
                "1_WeightedLayerPooling/config.json",
                embedding_dimension=REMOVED,
                word_embedding_dimension=WIDTH,
            ),
        ],
    ),
    "layer norm": made(pooling, layer_norm),
    "layer norm, dense, dropout, normalize": made(
        pooling, layer_norm, dense, lambda: Dropout(0.5), Normalize
    ),
    "normalize without a folder": made(pooling, Normalize, then=[no_folder_for_normalize]),
    "old names of types": made(pooling, Normalize, then=[old_modules]),
    "doubled names of types": made(
        pooling,
        then=[
            old_modules,
            lambda f: (f / "modules.json").write_text(
                (f / "modules.json").read_text().replace("Transformer", "Transformer.Transformer")
            ),
        ],
    ),
    "a folder for the transformer": made(pooling, Normalize, then=[in_a_folder_of_its_own]),
    "no modules.json": made(
        pooling, then=[without("modules.json"), changed(BERT, max_seq_length=5)]
    ),
    "sentence_roberta_config": made(
        pooling,
        then=[changed(BERT, max_seq_length=9), renamed(BERT, "sentence_roberta_config.json")],
    ),
    "an empty sentence_bert_config": made(
        pooling,
        then=[
            lambda f: (f / BERT).write_text("{}"),
            lambda f: edit_json(f / "sentence_albert_config.json", max_seq_length=8),
        ],
    ),
    "no sentence_bert_config": made(pooling, then=[without(BERT)]),
    "max_seq_length, old": made(
        pooling,
        then=[lambda f: (f / BERT).write_text('{"max_seq_length": 12, "do_lower_case": false}')],
    ),
    "max_seq_length null": made(
        pooling, then=[changed(BERT, max_seq_length=None), changed(WORDS, model_max_length=14)]
    ),
    "max_seq_length beats model_max_length": made(
        pooling, then=[changed(BERT, max_seq_length=20), changed(WORDS, model_max_length=10)]
    ),
    "tokenizer_args": made(
        pooling,
        then=[
            changed(
                BERT,
                max_seq_length=20,
                tokenizer_args={"model_max_length": 11, "do_lower_case": False},
            )
        ],
    ),
    "config_args": made(
        pooling,
        then=[
            changed(
                BERT,
                config_args={"num_hidden_layers": 2},
                model_args={"attn_implementation": "eager"},
            )
        ],
    ),
    "processing_kwargs": made(
        pooling, then=[changed(BERT, processing_kwargs={"text": {"max_length": 9}})]
    ),
    "processing_kwargs, common beats text": made(
        pooling,
        then=[
            changed(
                BERT, processing_kwargs={"common": {"max_length": 9}, "text": {"max_length": 6}}
            )
        ],
    ),
    "old keys beat new ones": made(
        pooling,
        then=[
            changed(
                BERT,
                max_seq_length=None,
                tokenizer_args={"model_max_length": 11},
                processor_kwargs={"model_max_length": 7},
                config_args={},
                config_kwargs={"num_hidden_layers": 1},
            )
        ],
    ),
    "include_prompt null": made(
        pooling, prompts=PROMPTS, then=[changed(f"1_Pooling/{CONFIG}", include_prompt=None)]
    ),
    "query_length": made(
        pooling, prompts=PROMPTS, then=[changed(BERT, query_length=6, document_length=13)]
    ),
    "max_len of old releases": made(
        pooling, then=[changed(WORDS, model_max_length=REMOVED, max_len=12)]
    ),
    "no limit anywhere": made(pooling, then=[changed(WORDS, model_max_length=REMOVED)]),
    "no limit of 1e30": made(pooling, then=[changed(WORDS, model_max_length=1e30)]),
    "do_lower_case of sentence-transformers": made(
        pooling,
        words=lambda: tokenizer(do_lower_case=False),
        then=[changed(BERT, do_lower_case=True)],
    ),
    "do_lower_case twice": made(pooling, then=[changed(BERT, do_lower_case=True)]),
    "cased": made(pooling, words=lambda: tokenizer(do_lower_case=False)),
    "cased by an edit": made(pooling, then=[changed(WORDS, do_lower_case=False)]),
    "accents kept": made(pooling, words=lambda: tokenizer(strip_accents=False)),
    "accents stripped, cased": made(
        pooling, words=lambda: tokenizer(do_lower_case=False, strip_accents=True)
    ),
    "no chinese words": made(pooling, words=lambda: tokenizer(tokenize_chinese_chars=False)),
    "no tokenizer_config": made(pooling, then=[without(WORDS)]),
    "vocab.txt only": made(pooling, then=[vocab_txt_only, without(WORDS)]),
    "vocab.txt and settings": made(
        pooling, words=lambda: tokenizer(do_lower_case=False), then=[vocab_txt_only]
    ),
    "added tokens": made(
        pooling, words=words_with_added_tokens, model=lambda: awkward(BertModel(wide_config()))
    ),
    "another cls_token": made(pooling, then=[changed(WORDS, cls_token="[MASK]")]),
    "another sep_token as an object": made(
        pooling,
        then=[
            changed(
                WORDS,
                sep_token={
                    "__type": "AddedToken",
                    "content": "dog",
                    "lstrip": False,
                    "rstrip": False,
                    "normalized": False,
                    "single_word": False,
                    "special": True,
                },
            )
        ],
    ),
    "a mask_token that takes the blanks beside it": made(
        pooling,
        then=[
            vocab_txt_only,
            changed(
                WORDS,
                mask_token={
                    "__type": "AddedToken",
                    "content": "[MASK]",
                    "lstrip": True,
                    "rstrip": True,
                    "normalized": False,
                    "single_word": False,
                },
            ),
        ],
    ),
    "added_tokens.json": made(
        pooling,
        model=lambda: awkward(BertModel(wide_config())),
        then=[
            vocab_txt_only,
            lambda f: edit_json(
                f / "added_tokens.json", Paris=len(tokenizer()), xy=len(tokenizer()) + 1
            ),
            changed("special_tokens_map.json", additional_special_tokens=["xy"]),
        ],
    ),
    "extra special tokens": made(
        pooling, then=[changed(WORDS, extra_special_tokens=["cat", "barks"])]
    ),
    "special_tokens_map": made(
        pooling, then=[without(WORDS), changed("special_tokens_map.json", unk_token="[MASK]")]
    ),
    "a fast tokenizer": made(pooling, words=fast_tokenizer()),
    "a fast tokenizer with types": made(
        pooling,
        words=fast_tokenizer(model_input_names=["input_ids", "token_type_ids", "attention_mask"]),
    ),
    "a fast tokenizer with one special token": made(
        pooling,
        words=fast_tokenizer(),
        then=[
            changed(
                "tokenizer.json",
                post_processor={
                    "type": "TemplateProcessing",
                    "single": [
                        {"Sequence": {"id": "A", "type_id": 0}},
                        {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
                    ],
                    "pair": [
                        {"Sequence": {"id": "A", "type_id": 0}},
                        {"Sequence": {"id": "B", "type_id": 1}},
                        {"SpecialToken": {"id": "[SEP]", "type_id": 1}},
                    ],
                    "special_tokens": {"[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}},
                },
            )
        ],
    ),
    "a fast tokenizer and added_tokens.json": made(
        pooling,
        words=fast_tokenizer(),
        then=[lambda f: edit_json(f / "added_tokens.json", Paris=82, xy=83)],
        model=lambda: awkward(BertModel(wide_config())),
    ),
    "a fast tokenizer that names only its padding": made(
        lambda: pooling(include_prompt=False),
        words=fast_tokenizer(),
        prompts=PROMPTS,
        then=[
            changed(WORDS, **{f"{name}_token": REMOVED for name in ("cls", "sep", "unk", "mask")})
        ],
    ),
    **{
        f"class {name}": made(
            lambda: pooling(include_prompt=False),
            prompts=PROMPTS,
            then=[changed(WORDS, tokenizer_class=name, do_lower_case=False)],
        )
        for name in (
            "ElectraTokenizer",
            "MobileBertTokenizer",
            "SqueezeBertTokenizerFast",
            "LayoutLMTokenizer",
            "LxmertTokenizer",
            "ConvBertTokenizer",
            "DPRContextEncoderTokenizerFast",
            "DPRQuestionEncoderTokenizer",
            "SplinterTokenizerFast",
            "RetriBertTokenizer",
            "NowhereTokenizerFast",
        )
    },
    "class DPRContextEncoderTokenizer without tokenizer.json": made(
        pooling,
        then=[
            vocab_txt_only,
            changed(WORDS, tokenizer_class="DPRContextEncoderTokenizer"),
        ],
    ),
    "a funnel tokenizer with types": made(
        pooling,
        then=[
            changed(
                WORDS,
                tokenizer_class="FunnelTokenizer",
                model_input_names=["input_ids", "token_type_ids", "attention_mask"],
            )
        ],
        model=lambda: awkward(BertModel(wide_config())),
    ),
    "a funnel tokenizer's own words": made(
        pooling, words=funnel, model=lambda: awkward(BertModel(wide_config()))
    ),
    "a splinter tokenizer's own words": made(
        pooling,
        words=splinter,
        prompts=PROMPTS,
        model=lambda: awkward(BertModel(wide_config())),
    ),
    "a splinter tokenizer with types": made(
        pooling,
        words=splinter,
        model=lambda: awkward(BertModel(wide_config())),
        then=[changed(WORDS, model_input_names=["input_ids", "token_type_ids", "attention_mask"])],
    ),
    "a herbert tokenizer": made(
        lambda: pooling(include_prompt=False), words=herbert, prompts=PROMPTS
    ),
    "a herbert tokenizer, older files": made(pooling, words=herbert, then=[byte_files]),
    "a distilbert tokenizer": made(
        pooling, then=[changed(WORDS, tokenizer_class="DistilBertTokenizer")]
    ),
    "no token types": made(
        pooling, then=[changed(WORDS, model_input_names=["input_ids", "attention_mask"])]
    ),
    "truncation on the left": made(pooling, then=[changed(WORDS, truncation_side="left")]),
    "special tokens split": made(pooling, then=[changed(WORDS, split_special_tokens=True)]),
    "truncation and padding left behind": made(
        pooling,
        then=[
            lambda f: edit_json(
                f / "tokenizer.json",
                truncation={
                    "direction": "Right",
                    "max_length": 6,
                    "strategy": "LongestFirst",
                    "stride": 0,
                },
                padding={
                    "strategy": {"Fixed": 30},
                    "direction": "Right",
                    "pad_to_multiple_of": None,
                    "pad_id": 0,
                    "pad_type_id": 0,
                    "pad_token": "[PAD]",
                },
            )
        ],
    ),
    "prompts": made(pooling, prompts=PROMPTS),
    "a default prompt": made(pooling, prompts=PROMPTS, default_prompt_name="document"),
    "passage alone": made(
        pooling, prompts={"passage": "dog "}, then=[changed(CONFIG, prompts={"passage": "dog "})]
    ),
    "dot": made(pooling, similarity_fn_name="dot"),
    "euclidean": made(pooling, similarity_fn_name="euclidean"),
    "manhattan": made(pooling, similarity_fn_name="manhattan"),
    "truncate_dim": made(pooling, Normalize, truncate_dim=12),
    "no config_sentence_transformers": made(pooling, then=[without(CONFIG)]),
    "float16": made(pooling, dense, then=[as_type(torch.float16)]),
    "bfloat16": made(pooling, then=[as_type(torch.bfloat16)]),
    "float64": made(
        pooling, then=[as_type(torch.float64), changed("config.json", dtype="float32")]
    ),
    "a masked language model's names": made(
        pooling, then=[lambda f: old_masked_lm().save_pretrained(f)]
    ),
    "a large epsilon": made(pooling, model=model(layer_norm_eps=1e-2)),
    **{
        name: made(pooling, model=model(hidden_act=name))
        for name in (
            "gelu_python",
            "gelu_new",
            "gelu_fast",
            "quick_gelu",
            "relu",
            "silu",
            "swish",
            "tanh",
            "sigmoid",
            "linear",
            "leaky_relu",
            "relu6",
            "gelu_accurate",
            "gelu_python_tanh",
        )
    },
}


def of_family(name, words=None, settings=(), **changes):
    """A model of one family, and a tokenizer of it or of another."""
    family = FAMILIES[name]
    return {
        "model": lambda: of_its_size(name, family.model(**changes)),
        "words": lambda: FAMILIES[words or name].words(**dict(settings)),
    }


def of_its_size(name, module):
    """Gated units multiply two products, and so what both were rounded by: they get less."""
    return drawn(module, 0.2) if name in ("modernbert", "nomic_bert") else awkward(module)


def as_head(kind):
    """The names of a classifier's checkpoint, which begin with the family's."""
    family = FAMILIES[kind]
    return lambda: of_its_size(kind, family.classifier())


def own_names(folder):
    """The names of tensors that transformers has, where the model's own repository has others."""
    model = AutoModel.from_pretrained(folder)
    model.save_pretrained(folder, save_original_format=False)
    assert "embeddings.LayerNorm.weight" in load_file(folder / "model.safetensors")


def multilingual_bert():
    """A BERT over the words of another family, like the multilingual MiniLM."""
    size = max(FAMILIES["xlm_roberta"].words().get_vocab().values()) + 1
    made = config()
    made.vocab_size = size
    return awkward(BertModel(made))


def fast_words(name):
    """A family's words under the class that takes tokenizer.json as it stands."""

    def make():
        words = FAMILIES[name].words()
        special = {key: str(value) for key, value in words.special_tokens_map.items()}
        return PreTrainedTokenizerFast(
            tokenizer_object=words.backend_tokenizer, model_max_length=41, **special
        )

    return make


FOLDERS |= {
    **{name: made(pooling, **of_family(name)) for name in FAMILIES},
    **{
        f"{name}, cls": made(lambda: pooling("cls"), Normalize, **of_family(name))
        for name in ("mpnet", "modernbert")
    },
    **{
        f"{name}, other poolings": made(
            lambda: pooling("lasttoken", "max", "weightedmean", include_prompt=False),
            prompts=PROMPTS,
            **of_family(name),
        )
        for name in FAMILIES
    },
    **{
        f"{name}, without a tokenizer's class": made(
            pooling, then=[changed(WORDS, tokenizer_class=REMOVED)], **of_family(name)
        )
        for name in FAMILIES
    },
    **{
        f"{name}, a classifier's names": made(
            pooling,
            **{**of_family(name), "then": [lambda f, n=name: as_head(n)().save_pretrained(f)]},
        )
        for name in FAMILIES
    },
    **{
        f"{name}, a fast tokenizer": made(pooling, **{**of_family(name), "words": fast_words(name)})
        for name in FAMILIES
    },
    "roberta, last token": made(lambda: pooling("lasttoken"), **of_family("roberta")),
    "mpnet, last token": made(lambda: pooling("lasttoken"), **of_family("mpnet")),
    "roberta, a blank before": made(
        pooling, **of_family("roberta", settings={"add_prefix_space": True})
    ),
    "roberta, older files": made(pooling, then=[byte_files], **of_family("roberta")),
    "roberta, another padding": made(
        pooling, **of_family("roberta", pad_token_id=3, max_position_embeddings=45)
    ),
    "xlm_roberta, no blank before": made(
        pooling, **of_family("xlm_roberta", settings={"add_prefix_space": False})
    ),
    "mpnet, cased": made(pooling, **of_family("mpnet", settings={"do_lower_case": False})),
    "mpnet, more buckets than are used": made(
        pooling, **of_family("mpnet", relative_attention_num_buckets=40)
    ),
    "albert, cased": made(
        pooling,
        **of_family("albert", settings={"do_lower_case": False, "keep_accents": True}),
    ),
    "albert, layers within a group": made(
        pooling, **of_family("albert", inner_group_num=2, num_hidden_groups=1)
    ),
    "electra, one width": made(pooling, **of_family("electra", embedding_size=20)),
    "distilbert, gelu": made(pooling, **of_family("distilbert", activation="gelu")),
    "distilbert, sinusoidal positions": made(
        pooling, **of_family("distilbert", sinusoidal_pos_embds=True)
    ),
    "nomic_bert, transformers' own names": made(
        pooling, then=[own_names], **of_family("nomic_bert")
    ),
    "bert with pieces": made(pooling, model=multilingual_bert, words=FAMILIES["xlm_roberta"].words),
    **{
        f"{name}, weighted layers": made(
            lambda: weighted_layers(1), pooling, **of_family(name), then=[ALL_STATES]
        )
        for name in ("albert", "distilbert", "electra", "mpnet", "roberta")
    },
}
