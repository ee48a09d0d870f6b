"""What tests of tokenizers share: tokenizers of folders, and what they make of a text."""

from minibert.tokens.load import load_tokenizer

UNKNOWN, CLS, SEP = 100, 101, 102  # in MiniLM's vocabulary


def minilm_tokenizer(folder):
    return load_tokenizer(folder, vocab_size=30522, max_tokens=512)


def load(folder, **arguments):
    """The tokenizer of a tiny golden model."""
    return load_tokenizer(folder, vocab_size=83, max_tokens=41, **arguments)


def as_it_stands(folder, edit, **content):
    """The same of its tokenizer.json, changed, as it stands."""
    edit(folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    edit(folder / "tokenizer.json", **content)
    return load(folder)


def ids_of(tokenizer, text, limit=None):
    return tokenizer.rows([text], limit).ids[0].tolist()


def tokens_of(tokenizer, text):
    return [tokenizer.backend.id_to_token(id) for id in ids_of(tokenizer, text)[1:-1]]
