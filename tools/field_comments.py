"""The comment beside a field is its documentation: for mkdocs.yml, which names this to mkdocstrings.

    lengths: IntArray  # (S,): tokens of each text
"""

import re
from typing import Any

import griffe

COMMENT = re.compile(r"^\s*\w+: [^#\"']+?  # (?!type:|fmt:|noqa)(.+)$")


class FieldComments(griffe.Extension):
    """Gives a field of a class without a docstring the comment of its line."""

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """griffe: an attribute was read."""
        if attr.docstring is None and attr.parent is not None and attr.parent.is_class and attr.lines:
            comment = COMMENT.match(attr.lines[0])
            if comment:
                attr.docstring = griffe.Docstring(comment[1], parent=attr)
