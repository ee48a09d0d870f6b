"""First import of sentence_transformers in a new process: put the stand-in in this place.

The folder of this file is on sys.path only where install() has put it, or `minibert run`.
"""

from minibert.integrations.sentence_transformers import install

install(force=True)
