"""A corpus on disk: many documents with their vectors, written, read, checked, searched.

In reading order, in which a file imports only those before it:

- manifest: the model, the settings and the counts of a corpus, in manifest.json
- fields: values of documents' fields as codes, in the order of the values
- shards: some documents and their vectors, in files that never change
- fingerprint: digests of a model's files, so that vectors of two models are never mixed
- corpus: Corpus, a folder opened for reading
- writer: one run that writes; each of its steps leaves a whole corpus
- building: documents -> a corpus; add to it, delete from it
- graph: a graph of the vectors, for quick answers that may miss some
- search: Index, questions -> the nearest documents
- verifying: every byte, compared with its digest

A new kind of index is a file beside graph. No file here knows a command or a page.
"""

from minibert.corpus.building import add, build, delete
from minibert.corpus.corpus import Corpus
from minibert.corpus.search import Hit, Index
from minibert.corpus.verifying import verify

__all__ = ["Corpus", "Hit", "Index", "add", "build", "delete", "verify"]
