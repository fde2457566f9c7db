"""What the site needs beyond the pages: README as front page, links out of docs/ to the repository, chapters in order."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any, Final

from mkdocs.structure.files import File, Files

LINK: Final = re.compile(r"(\]\()(?!https?:|mailto:|#)([^)\s#]+)((?:#[^)\s]*)?\))")
FENCE: Final = re.compile(r"(^```.*?^```)", re.DOTALL | re.MULTILINE)
CHAPTERS: Final = ("index", "start-here", "concepts", "how-to", "probes", "faults", "operating", "reference", "internals")


def on_files(files: Files, config: Any) -> Files:
    """README.md is the front page."""
    readme = (Path(config.config_file_path).parent / "README.md").read_text("utf-8")
    files.append(File.generated(config, "index.md", content=_rewritten(readme, "", config.repo_url)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """A link that leaves docs/ leads into the repository."""
    if page.file.src_uri == "index.md":
        return markdown
    return _rewritten(markdown, posixpath.join("docs", posixpath.dirname(page.file.src_uri)), config.repo_url)


def on_nav(nav: Any, config: Any, files: Files) -> Any:
    """Chapters in the order in which they are read; a folder is a chapter."""
    nav.items.sort(key=lambda item: CHAPTERS.index(_chapter(item)) if _chapter(item) in CHAPTERS else len(CHAPTERS))
    return nav


def _chapter(item: Any) -> str:
    uri = item.file.src_uri if item.is_page else item.children[0].file.src_uri
    return str(uri).partition("/")[0].removesuffix(".md")


def _rewritten(markdown: str, folder: str, repository: str) -> str:
    """folder: where the page lies in the repository. Code is left as it is."""

    def target(found: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, found[2]))
        if not path.startswith("docs/"):
            kind = "blob" if posixpath.splitext(path)[1] or path in {"LICENSE", "Makefile"} else "tree"
            return f"{found[1]}{repository}/{kind}/main/{path}{found[3]}"
        inside = path if folder else path.removeprefix("docs/")
        return f"{found[1]}{inside if not folder else found[2]}{found[3]}"

    parts = FENCE.split(markdown)
    return "".join(part if part.startswith("```") else LINK.sub(target, part) for part in parts)
