"""Texts to draw, and what is read back from a picture or a page."""

import base64
import json
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import numpy as np

from minibert.explain import ExplainedText, Word

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = (
    "</script><script>alert('1')</script> <img src=x onerror=\"alert(2)\"> & ]]> '\x00\x0b\x1b\""
)


def text_of(*words):
    """A text of words, each a token, between two special ones."""
    names = ["[CLS]", *words, "[SEP]"]
    offsets, at = [(0, 0)], 0
    for word in words:
        offsets.append((at, at + len(word)))
        at += len(word) + 1
    return ExplainedText(
        " ".join(words), names, [*offsets, (0, 0)],
        [Word(name, slice(n, n + 1), n in (0, len(words) + 1)) for n, name in enumerate(names)],
        np.ones(len(names)), 0,
    )  # fmt: skip


def cells_of(svg):
    """The cells of a picture: what they say, their value, their class, their element."""
    found = []
    for group in ET.fromstring(svg).iter(f"{SVG}g"):
        if group.get("class") == "cells":
            for cell in group.iter(f"{SVG}rect"):
                name, _, value = cell.find(f"{SVG}title").text.rpartition(": ")
                found.append((name, float(value.replace("−", "-")), cell.get("class"), cell))
    return found


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the text of its parts."""

    def __init__(self, page):
        super().__init__()
        self.found, self.texts, self.kind = [], {}, None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        self.kind = tag

    def handle_data(self, text):
        self.texts.setdefault(self.kind, []).append(text)

    def data(self):
        """The JSON that the script reads."""
        return json.loads(next(text for text in self.texts["script"] if text.startswith("{")))


def decoded_bytes(text):
    """What the page's script makes of bytes."""
    return (np.frombuffer(base64.b64decode(text), np.uint8) / 255.0) ** 2


def luminance(rgb):
    """WCAG 2.2, relative luminance."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return np.dot([0.2126, 0.7152, 0.0722], linear)


def contrast(one, other):
    """The contrast of two colours, of parts from 0 to 1: WCAG 2.2, "contrast ratio"."""
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)
