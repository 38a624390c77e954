"""What the site needs beside mkdocs.yml: links out of this folder, GitHub's anchors and lists.

The pages are written to be read on GitHub, too. A link to a file that is no page leads there.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page
from pymdownx.slugs import slugify

_LINK = re.compile(r"(\]\()(\.[^)#\s]*)((?:#[^)\s]*)?\))")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Make anchors as GitHub makes them."""
    config.mdx_configs["toc"]["slugify"] = slugify(case="lower")
    return config


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links that leave the folder, and those to folders, at the repository."""
    folder = posixpath.dirname(page.file.src_uri)

    def pointed(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join("docs", folder, link[2]))
        inside = posixpath.relpath(target, "docs")
        if not inside.startswith("..") and files.get_file_from_path(inside) is not None:
            return link[0]
        return f"{link[1]}{config.repo_url}/blob/HEAD/{target}{link[3]}"

    return "\n".join(_indented(_LINK.sub(pointed, markdown).split("\n")))


def _indented(lines: list[str]) -> Iterator[str]:
    """Yield the lines of a page; what belongs to a numbered item stands four blanks in.

    GitHub wants it below the item's first word, which is three; Python-Markdown wants four.
    """
    listed = False
    for line in lines:
        if re.match(r"\d+\. ", line):
            listed = True
        elif line and not line.startswith("   "):
            listed = False
        inner = listed and re.match(r" {3}", line)
        yield f" {line}" if inner else line
