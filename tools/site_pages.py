"""Add the pages of the documentation site that do not lie in docs/: the hook of mkdocs.yml.

The README is the site's first page. CONTRIBUTING.md and CHANGELOG.md are pages, too. Every file
that a page links to, such as minibert/bert/forward.py, becomes a page with its text. So the same
links work in the repository, and in the site without a network.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
# Repository file -> its place in the site. Any other file is below source/.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
LINK = re.compile(r"(?<=\]\()([^)#:\s]+)(?=(#[^)\s]*)?\))")
SOURCE = """---
search:
  exclude: true
---
# {path}

``````{language} linenums="1"
{text}
``````
"""


def site_page(path: str) -> str:
    """Return the place of a repository file in the site."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return PAGES.get(path) or f"source/{path}.md"


def repository_file(page: str) -> str:
    """Return the repository file that a page of the site shows: the inverse of site_page."""
    for path, place in PAGES.items():
        if place == page:
            return path
    if page.startswith("source/"):
        return page.removeprefix("source/").removesuffix(".md")
    return f"docs/{page}"


def target_of(link: str, origin: str) -> str | None:
    """Return the repository file to which a link in the file `origin` leads, or None."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(origin), link))
    is_inside = not target.startswith(("/", ".."))
    return target if is_inside and (ROOT / target).is_file() else None


def rewritten(markdown: str, origin: str) -> str:
    """Return the text of a repository file, with its links in the form of the site."""
    here = posixpath.dirname(site_page(origin))

    def link(match: re.Match[str]) -> str:
        target = target_of(match[1], origin)
        # A link to a missing file stays unchanged, so that mkdocs reports it.
        return posixpath.relpath(site_page(target), here or ".") if target else match[1]

    return LINK.sub(link, markdown)


def source_page(path: str) -> str:
    """Make a page that shows a file."""
    language = {".py": "python", ".sh": "sh", ".toml": "toml"}.get(Path(path).suffix, "text")
    text = (ROOT / path).read_text(encoding="utf-8").rstrip()
    return SOURCE.format(path=path, language=language, text=text)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that do not lie in docs/, for mkdocs."""
    pages = {path: (ROOT / path).read_text(encoding="utf-8") for path in PAGES}
    for file in files.documentation_pages():
        pages[repository_file(file.src_uri)] = file.content_string
    links = {
        target_of(match[1], origin)
        for origin, text in pages.items()
        for match in LINK.finditer(text)
    }
    outside = {path for path in links if path and not path.startswith("docs/")} - set(PAGES)
    for path in PAGES:
        files.append(File.generated(config, site_page(path), content=pages[path]))
    for path in sorted(outside):
        files.append(File.generated(config, site_page(path), content=source_page(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Bring the links of a page into the site's form, for mkdocs."""
    if page.file.src_uri.startswith("source/"):
        return markdown
    return rewritten(markdown, repository_file(page.file.src_uri))
