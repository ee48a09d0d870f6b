"""The texts whose vectors by the real all-MiniLM-L6-v2 are in golden/minilm.npz, in this order."""

__all__ = ["DOCS", "MINILM_TEXTS", "QUERY"]

CARD = [
    "How many people live in London?",
    "Around 9 Million people live in London",
    "London is known for its financial district",
]
QUERY, *DOCS = CARD

ENGLISH = [
    "hello world",
    "Hello World",
    "A dog barks.",
    "A cat sleeps.",
    "The quick brown fox jumps over the lazy dog.",
    "what similarity laws must be obeyed when constructing aeroelastic models",
    "I didn't know; you shouldn't've asked (really!)",
    "3.14159, 2^10 = 1024, 50% off, $9.99 & #1",
    "https://example.org/path?query=1#fragment",
    "name@example.org",
    "def f(x): return x ** 2",
    "ALL CAPITALS AND no capitals",
    "antidisestablishmentarianism floccinaucinihilipilification",
    "tokenization, tokenisation, tokenizing",
    "snake_case camelCase kebab-case",
    "“Curly quotes” — and dashes… ‘too’",
]

SHORT = [
    "",
    " ",
    "\t\n  \r\n",
    "a",
    "A",
    ".",
    "[CLS]",
    "[PAD]",
    "x[SEP]y",
    "the [MASK] sat",
    "[mask]",
]

SCRIPTS = [
    "Café crème à la carte",
    "Cafe\u0301 cre\u0300me",
    "Łódź, Århus, Zürich, İstanbul, straße",
    "ΟΔΟΣ Οδός",
    "Москва — столица России",
    "北京是中国的首都",
    "東京は日本の首都です。",
    "서울은 대한민국의 수도이다",
    "ก็ไม่รู้เหมือนกัน",
    "مرحبا بالعالم",
    "שלום עולם",
    "नमस्ते दुनिया",
    "mixed 中文 and English 日本語 text",
    "\U00020000 \U0002b820 rare ideographs",
]

SYMBOLS = [
    "😀 emoji 👩‍👩‍👧‍👦 family 🇬🇧",
    "€ © → ° × ½ ™",
    "a€b “a”b a\u0378b",
    "zero\u200bwidth soft\u00adhyphen byte\ufefforder",
    "nul\x00bell\x07escape\x1b unit\x1fseparator",
    "next\x85line vertical\x0btab form\x0cfeed",
    "no\u00a0break\u3000ideographic\u2028line\u2029paragraph",
    "replacement \ufffd character",
    "\U0010ffff and \ue000 private use",
    "ﬁ ligature, ① circled, ｆｕｌｌｗｉｄｔｈ",
]

LONG = [
    "hello " * 200,
    "The cat sat on the mat. " * 60,
    "word " * 254,
    "word " * 255,
    "a" * 100,
    "a" * 101,
    "я" * 100,
    "я" * 101,
    "中" * 300,
    "." * 400,
]

MINILM_TEXTS = CARD + ENGLISH + SHORT + SCRIPTS + SYMBOLS + LONG
