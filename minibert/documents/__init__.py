"""Files and streams -> documents: texts with their ids and their places.

    from minibert.documents import read_documents

In reading order:

- `reading`: `read_documents`, `read_records` and `count_documents`, over all forms
- `document`: a record, and a document with the fields of a record that it consists of
- `forms`: the table of forms: of each its reader, suffixes and count
- `sources`: a name -> its file, or standard input
- `lines`: bytes -> lines of text
- `text`, `jsonl`, `tables`, `parquet`: the readers of the forms
"""

from minibert.documents.document import (
    Document,
    Fields,
    Record,
    Scalar,
    checked_fields,
    is_plain_number,
    scalar_of,
)
from minibert.documents.forms import FORMS, Form, form_by_suffix, form_of
from minibert.documents.lines import lines_in
from minibert.documents.reading import count_documents, read_documents, read_records
from minibert.documents.sources import display_name, path_of, standard_input

__all__ = [
    "FORMS",
    "Document",
    "Fields",
    "Form",
    "Record",
    "Scalar",
    "checked_fields",
    "count_documents",
    "display_name",
    "form_by_suffix",
    "form_of",
    "is_plain_number",
    "lines_in",
    "path_of",
    "read_documents",
    "read_records",
    "scalar_of",
    "standard_input",
]
