"""The commonest calls, whose types a checker must infer as written. Nothing runs this file."""

from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

from minibert import (
    BertModel,
    CrossEncoder,
    SentenceTransformer,
    Tokenizer,
    dot_score,
    quantize_embeddings,
    semantic_search,
    util,
)
from minibert.common.arrays import Array, IntArray
from minibert.corpus import Hit, Index
from minibert.models.model_output import BertOutput
from minibert.models.signatures import Features, RankedDocument, Score
from minibert.scoring.quantization import Codes
from minibert.tokens.tokenizer import Tokens

model = SentenceTransformer("all-MiniLM-L6-v2")
texts = ["a cat", "a dog"]

# 1. encode: one text a row, a list of texts a matrix
assert_type(model.encode("a cat"), Array)
assert_type(model.encode("a cat", "query", normalize_embeddings=True), Array)
assert_type(model.encode(texts), Array)
assert_type(model.encode(texts, batch_size=32, show_progress_bar=False, task="query"), Array)
assert_type(model.encode([("a cat", "a dog")]), Array)

# 2. encode: what else it may give
assert_type(model.encode(texts, convert_to_numpy=False), list[Array])
assert_type(model.encode(texts, output_value="token_embeddings"), list[Array])
assert_type(model.encode("a cat", output_value="token_embeddings"), Array)
assert_type(model.encode(texts, output_value=None), list[Features])
assert_type(model.encode("a cat", output_value=None), Features)
assert_type(model.encode(texts, output_value=None)[0]["sentence_embedding"], Array)
assert_type(model.encode(texts, precision="int8"), Codes)
assert_type(model.encode(texts, precision="float32"), Array)

assert_type(model.encode(texts, convert_to_tensor=True), Any)  # a tensor

# 3. encode_query and encode_document
assert_type(model.encode_query("a cat"), Array)
assert_type(model.encode_document(texts, batch_size=32), Array)

# 4. similarity
assert_type(model.similarity(model.encode(texts), model.encode(texts)), Array)
assert_type(dot_score(model.encode("a cat"), model.encode(texts)), Array)

# 5. tokens
assert_type(model.tokens("a cat"), Tokens)
assert_type(model.tokens(texts), list[Tokens])

# 6. predict: one pair a score, a list of pairs an array
scorer = CrossEncoder("ms-marco-MiniLM-L6-v2")
assert_type(scorer.predict(("a cat", "a dog")), Score)
assert_type(scorer.predict([("a cat", "a dog")]), Array)
assert_type(scorer.predict([["a cat", "a dog"]], batch_size=32), Array)
assert_type(scorer.predict([("a cat", "a dog")], convert_to_numpy=False), list[Score])

# 7. rank
assert_type(scorer.rank("a cat", texts, top_k=1), list[RankedDocument])
assert_type(scorer.rank("a cat", texts)[0]["score"], float)

# 8. quantize_embeddings
assert_type(quantize_embeddings(model.encode(texts), "ubinary"), NDArray[np.uint8])
assert_type(quantize_embeddings(model.encode(texts), precision="int8"), NDArray[np.int8])
assert_type(quantize_embeddings(model.encode(texts), "float32"), Array)

# 9. a search in memory: the numbers of the texts it finds are indices of a list
found = semantic_search(model.encode("a cat"), model.encode(texts), model=model)
assert_type(texts[found[0][0]["corpus_id"]], str)
assert_type(found[0][0]["score"], float)
assert_type(util.paraphrase_mining(model, texts), list[list[float | int]])

# 10. a corpus is searched
assert_type(Index("corpus").search("a cat"), list[Hit])
assert_type(Index("corpus").search(texts, k=3)[0][0].score, float)

# 11. transformers' view
tokenizer = Tokenizer.from_pretrained("all-MiniLM-L6-v2")
padded = tokenizer(texts, padding=True, return_tensors="np")
assert_type(padded["input_ids"], IntArray)
assert_type(tokenizer("a cat")["input_ids"], list[int])
assert_type(tokenizer(texts, padding=True).input_ids, list[list[int]])
assert_type(tokenizer.encode("a cat"), list[int])
assert_type(BertModel.from_pretrained("all-MiniLM-L6-v2")(**padded), BertOutput)
