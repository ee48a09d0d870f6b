"""A corpus on disk: many documents with their vectors, written, read, checked, searched.

In reading order, in which a file imports only those before it:

- fields: values of documents' fields as codes, in the order of the values
- manifest: the model, the settings and the counts of a corpus, in manifest.json
- shards: some documents and their vectors, in files that never change
- fingerprint: digests of a model's files, so that vectors of two models are never mixed
- corpus: Corpus, a folder opened for reading
- items: documents as they are written, each with its checks
- writer: one run that writes; each of its steps leaves a whole corpus
- building: documents -> a corpus; add to it, delete from it
- replacing: documents that have changed, in place of those with their ids
- filters: conditions on fields -> the documents that meet them
- graph: a graph of the vectors, for quick answers that may miss some
- search: Index, questions -> the nearest documents
- verifying: every byte, compared with its digest
- compacting: the same corpus without its deleted documents

A new kind of index is a file beside graph. No file here knows a command or a page.
"""

from minibert.corpus.building import add, build, delete
from minibert.corpus.compacting import compact
from minibert.corpus.corpus import Corpus
from minibert.corpus.replacing import Replaced, replace
from minibert.corpus.search import Hit, Index
from minibert.corpus.verifying import verify

__all__ = [
    "Corpus",
    "Hit",
    "Index",
    "Replaced",
    "add",
    "build",
    "compact",
    "delete",
    "replace",
    "verify",
]
