"""Documents -> a corpus on disk, shard by shard, so that a run that is stopped loses little.

    build("my-corpus", read_documents(["corpus.jsonl"]), model)

A shard is encoded by itself, written, and synced before the manifest names it. So at every moment
the folder is a whole corpus of some of the documents. The same call again goes on from there, and
ends with the same bytes. `writer.py` does the work, under a lock.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from minibert.checkpoint.hub import hub_name
from minibert.common.arguments import (
    check_choice,
    check_counts,
    check_given_counts,
    check_several,
    type_of,
)
from minibert.common.files import locked
from minibert.corpus.corpus import Corpus
from minibert.corpus.fingerprint import DigestCache, check_is_model, fingerprint_of
from minibert.corpus.items import begun
from minibert.corpus.manifest import Manifest, Settings, read_manifest, write_manifest
from minibert.corpus.writer import (
    Advance,
    Writer,
    begin,
    clear_leftovers,
    make_folder,
    with_deleted,
)
from minibert.documents import Document, Fields, checked_fields, is_plain_number
from minibert.errors import CorpusError
from minibert.models.model import prompt_of_task
from minibert.models.sentence_transformer import SentenceTransformer
from minibert.scoring.quantization import STORED_DTYPES
from minibert.tokens.truncation import OnLong, check_on_long

__all__ = ["SHARD_CHARACTERS", "SHARD_DOCUMENTS", "add", "build", "delete"]

logger = logging.getLogger(__name__)

# The end of a shard. A BERT-base encodes 2,000,000 characters in ten minutes on two cores: so much
# work is lost at most when a run is killed. 8192 vectors of 1024 numbers are 32 MB.
SHARD_DOCUMENTS = 8192
SHARD_CHARACTERS = 2_000_000


def build(
    folder: str | os.PathLike[str],
    documents: Iterable[Document],
    model: SentenceTransformer,
    *,
    model_name: str | None = None,
    precision: str = "float32",
    prompt: str | None = None,
    prompt_name: str | None = None,
    truncate_dim: int | None = None,
    normalize: bool = False,
    on_long: OnLong | None = None,
    pack_tokens: int = 1024,
    texts: bool = True,
    fields: Fields | Sequence[str] = (),
    shard_documents: int = SHARD_DOCUMENTS,
    shard_characters: int = SHARD_CHARACTERS,
    advance: Advance = lambda done: None,
) -> tuple[Manifest, int]:
    """Encode documents into a folder, or go on where an earlier call was stopped.

    To go on, give all documents again from the first: those in the folder are compared, the rest is
    encoded. A finished corpus is compared and left as it is. Returns the manifest and the number of
    new documents.

    Args:
        folder: Folder of the corpus, which is made if it is not there.
        documents: In the order of their numbers. Ids default to these numbers, from 0.
        model: Model of the vectors.
        model_name: Name to find the model again; None is its name on the hub, or the path of its
            folder.
        precision: Form of the stored vectors: "float32", "float16", "int8" (with the ranges of the
            first shard) or "binary".
        prompt: Text before each document; None is the prompt of encode_document.
        prompt_name: Name of one of the model's prompts, in place of `prompt`.
        truncate_dim: Number of dimensions of a vector that are kept; None is the model's own.
        normalize: True divides each vector by its length.
        on_long: For texts above the maximum length, see encode; None is the model's own.
        pack_tokens: Maximum of the tokens of one forward pass.
        texts: False keeps no texts, only ids and vectors.
        fields: Names of the fields of documents that are kept, for `where` of a search. A document
            may lack some of them, and has no others. All values of a field are texts, or numbers,
            or true and false; None stands for no value. Fields, those of `read_documents`, declare
            the kinds of `numbers` and `flags`, too, before there is a value.
        shard_documents: A shard ends with this many documents.
        shard_characters: A shard ends with the document that reaches this many characters.
        advance: Function that is called with the number of documents just done.

    Raises CorpusError for other documents, another model or other settings than the folder's, for
    an id that stands twice, and for a folder that was edited; ValueError for a document that cannot
    be encoded, and for one without `fields` if the corpus keeps some; TypeError for arguments of
    another type; OutputError for a folder that cannot be written, or that another process writes.
    """
    path = checked(folder, model)
    cache = DigestCache(path)
    named = checked_fields(fields)
    settings = settings_of(
        model,
        cache,
        model=model_name or name_of(model),
        precision=precision,
        prompt=prompt_of_task(model, "document", prompt, prompt_name),
        truncate_dim=truncate_dim,
        normalize=normalize,
        on_long=on_long,
        pack_tokens=pack_tokens,
        texts=texts,
        fields=named.kept,
        number_fields=named.numbers,
        flag_fields=named.flags,
        shard_documents=shard_documents,
        shard_characters=shard_characters,
    )
    documents = begun(documents, settings.fields)
    make_folder(path)
    with locked(path):
        begin(path, settings)
        cache.write()
        writer = Writer(path, model, on_long or model.on_long, advance)
        writer.take(telling_of_numbers(documents, named), number=0)
        if not writer.manifest.read:
            raise CorpusError("The input holds no document, so there is nothing to index.")
        return writer.manifest, writer.new


def add(
    folder: str | os.PathLike[str],
    documents: Iterable[Document],
    model: SentenceTransformer,
    *,
    on_long: OnLong | None = None,
    advance: Advance = lambda done: None,
) -> tuple[Manifest, int]:
    """Encode more documents into a finished corpus, with the settings that it was made with.

    A call that was stopped goes on as with build. If the documents are those of the last call, they
    are compared and not added twice. Returns the manifest and the number of new documents.

    Raises the errors of build, and FileNotFoundError if there is no corpus.
    """
    path = checked(folder, model)
    read_manifest(path)
    with locked(path):
        writer = continuing(path, model, on_long, advance)
        again, documents = writer.repeats_last(documents)
        writer.take(documents, number=len(writer.manifest.inputs) - (1 if again else 0))
        return writer.manifest, writer.new


def continuing(
    path: Path, model: SentenceTransformer, on_long: OnLong | None, advance: Advance
) -> Writer:
    """Open a finished build for more documents, with the settings that it was made with.

    The caller holds the lock. Raises CorpusError for another model, and for an unfinished build.
    """
    settings = read_manifest(path).settings
    cache = DigestCache(path)
    settings.check_same(
        asdict(
            settings_of(
                model,
                cache,
                prompt=settings.prompt,
                on_long="window" if settings.long_texts == "window" else on_long,
                **{name: getattr(settings, name) for name in KEPT},
            )
        ),
        path,
    )
    cache.write()
    on_long = "window" if settings.long_texts == "window" else on_long or model.on_long
    writer = Writer(path, model, on_long, advance)
    if not writer.manifest.inputs[0].complete:
        raise CorpusError(f"{path} is not finished; repeat its `minibert index build` first.")
    return writer


def delete(folder: str | os.PathLike[str], ids: Iterable[str]) -> tuple[int, list[str]]:
    """Delete documents, so that no search finds them; their numbers stay taken, their ids are free.

    Returns how many were deleted, and the ids of those that were deleted before. Raises
    CorpusError, and deletes nothing, for an id that was never there; TypeError for one text instead
    of a list.
    """
    check_several(ids=ids)
    path = Path(folder)
    read_manifest(path)
    with locked(path):
        corpus = Corpus(path)
        corpus.manifest.check_complete(path, "delete")
        clear_leftovers(path, corpus.manifest)
        wanted = list(dict.fromkeys(ids))
        found = list(corpus.find(wanted))
        known = {id for id, _, _ in found}
        unknown = [id for id in wanted if id not in known]
        if unknown:
            raise CorpusError(
                f"{path} has no document with the id {unknown[0]!r}"
                + ("" if len(unknown) == 1 else f"; {len(unknown)} of these ids are unknown")
                + "; nothing was deleted."
            )
        numbers = [number for _, number, is_deleted in found if not is_deleted]
        gone = known - {id for id, _, is_deleted in found if not is_deleted}
        if numbers:
            everything = np.union1d(corpus.deleted, np.array(numbers, dtype=np.int64))
            manifest = with_deleted(path, corpus.manifest, everything)
            write_manifest(path, manifest)
            clear_leftovers(path, manifest)
        return len(numbers), [id for id in wanted if id in gone]


# The settings that `add` takes from the corpus as they are.
KEPT = (
    *("model", "precision", "truncate_dim", "normalize", "pack_tokens", "texts"),
    *("shard_documents", "shard_characters", "fields", "number_fields", "flag_fields"),
)


def settings_of(
    encoder: SentenceTransformer,
    cache: DigestCache,
    /,
    *,
    on_long: OnLong | None,
    precision: str,
    truncate_dim: int | None,
    **others: Any,
) -> Settings:
    """Collect all that the vectors depend on. Raises ValueError for a setting out of its range."""
    check_choice("precision", precision, STORED_DTYPES)
    check_counts(truncate_dim=truncate_dim)
    check_given_counts(
        **{name: others[name] for name in ("pack_tokens", "shard_documents", "shard_characters")}
    )
    check_on_long(on_long or encoder.on_long)
    dimension = min(truncate_dim or encoder.truncate_dim or encoder.dimension, encoder.dimension)
    return Settings(
        **fingerprint_of(encoder, cache)._asdict(),
        precision=precision,
        dimension=dimension,
        truncate_dim=dimension if dimension < encoder.dimension else None,
        metric=encoder.similarity_fn_name,
        max_seq_length=encoder.transformer.limit("document"),
        long_texts="window" if (on_long or encoder.on_long) == "window" else "cut",
        reproducible=encoder.transformer.reproducible,
        device=encoder.device.partition(":")[0],
        dtype=encoder.dtype,
        **others,
    )


def checked(folder: str | os.PathLike[str], model: SentenceTransformer) -> Path:
    """Return the path of a corpus. Raises TypeError for a folder or a model of another type."""
    if not isinstance(folder, str | os.PathLike):
        raise TypeError(
            f"folder is {type_of(folder)}; expected the path of the corpus, which stands before "
            "the documents and the model."
        )
    check_is_model(model)
    return Path(folder)


def telling_of_numbers(documents: Iterable[Document], fields: Fields) -> Iterator[Document]:
    """Yield documents; warn at their end of fields whose values are numbers written as texts."""
    found = dict.fromkeys(fields.kept, False)  # of those that may be numbers: whether one has come
    for document in documents:
        values = getattr(document, "fields", None)  # the writer refuses what is no Document
        for name in list(found):
            if not isinstance(values, Mapping):
                break
            value = values.get(name)
            if isinstance(value, str) and is_plain_number(value):
                found[name] = True
            elif value is not None and value != "":  # an empty cell of a table
                del found[name]
        yield document
    for name in (name for name, has_come in found.items() if has_come):
        logger.warning(
            "All values of %r are numbers, but texts: they are compared by characters, and '900' "
            "comes after '1000'. `--fields %s:number`, in Python `numbers` of Fields, compares "
            "them by size.",
            name,
            name,
        )


def name_of(model: SentenceTransformer) -> str:
    """Return a name by which the model can be found again: that on the hub, or its folder."""
    path = model.saved_folder.path
    return hub_name(path, path) or str(path)
