"""The comment beside a field is its documentation. mkdocs.yml names this to mkdocstrings.

`lengths: IntArray  # (S,)` gives the field `lengths` the text "(S,)".
"""

import re
from typing import Any

import griffe

COMMENT = re.compile(r"^\s*\w+: [^#\"']+?  # (?!type:|fmt:|noqa)(.+)$")


class FieldComments(griffe.Extension):
    """Gives a field of a class without a docstring the comment of its line."""

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """griffe: an attribute was read."""
        comment = COMMENT.match(attr.lines[0]) if attr.lines else None
        if comment and attr.docstring is None and attr.parent and attr.parent.is_class:
            attr.docstring = griffe.Docstring(comment[1], parent=attr)
