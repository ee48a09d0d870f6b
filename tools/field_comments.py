"""Show comments as the documentation of fields, and lists of arguments as tables.

mkdocs.yml names this file to mkdocstrings.

`lengths: IntArray  # (S,)` gives the field `lengths` the text "(S,)". A field without one has the
comment that stands alone on the lines above it.
"""

import re
from typing import Any

import griffe

COMMENT = re.compile(r"^\s*(?:self\.)?\w+(?::| =) [^#]*?  # (?!type:|fmt:|noqa)(.+)$")
FIELD = re.compile(r"^    \w+: ")
ABOVE = re.compile(r"^\s*# (?!type:|fmt:|noqa)(.+)$")


def comment_of(lines: list[str], number: int) -> str | None:
    """Comment of the field on a line, counted from 1: beside it, else above it."""
    beside = COMMENT.match(lines[number - 1])
    if beside:
        return beside[1]
    is_field, above = FIELD.match(lines[number - 1]), list[str]()
    while is_field and number > 1 and (line := ABOVE.match(lines[number - 2])):
        above.insert(0, line[1])
        number -= 1
    return " ".join(above) or None


class FieldComments(griffe.Extension):
    """Give a field of a class without a docstring its comment."""

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """Handle an attribute that griffe has read."""
        if attr.docstring is None and attr.parent and attr.parent.is_class and attr.lineno:
            comment = comment_of(attr.lines_collection[attr.filepath], attr.lineno)
            if comment:
                attr.docstring = griffe.Docstring(comment, parent=attr)


class ArgumentTables(griffe.Extension):
    """Show a list of arguments, under "Args:", as a table; other docstrings are prose."""

    def on_function_instance(self, *, func: griffe.Function, **_: Any) -> None:
        """Handle a function that griffe has read."""
        if func.docstring and "\nArgs:\n" in func.docstring.value:
            func.docstring.parser = griffe.Parser.google
