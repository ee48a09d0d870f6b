"""Show the comment beside a field as its documentation. mkdocs.yml names this to mkdocstrings.

`lengths: IntArray  # (S,)` gives the field `lengths` the text "(S,)".
"""

import re
from typing import Any

import griffe

COMMENT = re.compile(r"^\s*\w+: [^#\"']+?  # (?!type:|fmt:|noqa)(.+)$")


class FieldComments(griffe.Extension):
    """Give a field of a class without a docstring the comment of its line."""

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """Handle an attribute that griffe has read."""
        comment = COMMENT.match(attr.lines[0]) if attr.lines else None
        if comment and attr.docstring is None and attr.parent and attr.parent.is_class:
            attr.docstring = griffe.Docstring(comment[1], parent=attr)
