"""Pages of the documentation site that do not lie in docs/. mkdocs.yml names this as its hook.

The README is the site's first page, CONTRIBUTING.md and CHANGELOG.md are pages, too, and every
file that a page links to, such as minibert/bert/forward.py, becomes a page with its text. So links
are written as they work in the repository, and work in the site, without a network, as well.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
# A file of the repository: where it stands in the site. Any other is below source/.
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
    """Where a file of the repository stands in the site."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return PAGES.get(path) or f"source/{path}.md"


def repository_file(page: str) -> str:
    """The file of the repository that a page of the site shows: site_page the other way round."""
    for path, place in PAGES.items():
        if place == page:
            return path
    if page.startswith("source/"):
        return page.removeprefix("source/").removesuffix(".md")
    return f"docs/{page}"


def target_of(link: str, origin: str) -> str | None:
    """The file of the repository that a link in another leads to; None if there is none."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(origin), link))
    is_inside = not target.startswith(("/", ".."))
    return target if is_inside and (ROOT / target).is_file() else None


def rewritten(markdown: str, origin: str) -> str:
    """The text of a file of the repository with its links as they must be in the site."""
    here = posixpath.dirname(site_page(origin))

    def link(match: re.Match[str]) -> str:
        target = target_of(match[1], origin)
        # What does not exist stays as it is, for mkdocs to complain of.
        return posixpath.relpath(site_page(target), here or ".") if target else match[1]

    return LINK.sub(link, markdown)


def source_page(path: str) -> str:
    """A page that shows a file."""
    language = {".py": "python", ".sh": "sh", ".toml": "toml"}.get(Path(path).suffix, "text")
    text = (ROOT / path).read_text(encoding="utf-8").rstrip()
    return SOURCE.format(path=path, language=language, text=text)


def on_files(files: Files, config: Any) -> Files:
    """mkdocs: add the pages that do not lie in docs/."""
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
    """mkdocs: bring the links of a page into the site's form."""
    if page.file.src_uri.startswith("source/"):
        return markdown
    return rewritten(markdown, repository_file(page.file.src_uri))
