"""What MkDocs does beyond its configuration: pages from outside docs/, and paths that exist.

README, CHANGELOG, CONTRIBUTING and the model cards stay where people look for them in a checkout,
and are pages all the same: their links are rewritten from places in the repository to places on the
site. Paths of files in code spans are checked as links are: `--strict` makes errors of dead ones.
"""

from __future__ import annotations

import logging
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
DOCS = "docs/"
# Files outside docs/ -> their pages. Folders that people link to stand for the page in them.
OUTSIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "examples/README.md": "examples.md",
    **{f"weights/{p.name}": f"weights/{p.name}" for p in sorted((ROOT / "weights").glob("*.md"))},
}
FOLDERS = {
    "docs/gallery": "docs/gallery/README.md",
    "docs": "docs/architecture.md",
    "examples": "examples/README.md",
    "weights": "weights/perception.md",
}
LINK = re.compile(r"(\]\()([^)#\s]+)")  # the target of a link or picture, without its anchor
# A code span that names a file of the repository: `memegen/weights.py`, `recipes/smile.yaml`.
FILE = re.compile(r"`((?:memegen|recipes|weights|docs|tests|benchmarks)/[\w./-]*\.\w+)`")
OTHERS = "examples/README.md"  # names files of packages on PyPI

log = logging.getLogger("mkdocs.hooks.repository")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside docs/."""
    from mkdocs.structure.files import File

    for place, uri in OUTSIDE.items():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / place)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite links to what lies on the other side of docs/, and look for the files named."""
    uri = page.file.src_uri
    place = next((place for place, page_uri in OUTSIDE.items() if page_uri == uri), DOCS + uri)
    for name in FILE.findall(markdown):
        if place != OTHERS and not (ROOT / name).exists():
            log.warning("%s names a file that is not there: %s", place, name)
    return LINK.sub(lambda found: found[1] + _on_site(found[2], place, uri), markdown)


def _on_site(link: str, place: str, uri: str) -> str:
    """A link of the file at `place` in the repository, as its page `uri` has to write it."""
    if ":" in link or link.startswith("/"):
        return link
    target = posixpath.normpath(posixpath.join(posixpath.dirname(place), link))
    target = FOLDERS.get(target, target)
    if target in OUTSIDE:
        target = OUTSIDE[target]
    elif target.startswith(DOCS):
        target = target.removeprefix(DOCS)
    else:
        log.warning("%s links to what is no page: %s", place, link)
        return link
    return posixpath.relpath(target, posixpath.dirname(uri) or ".")
