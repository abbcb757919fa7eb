"""What the site has beside docs/: the pages that lie elsewhere in the repository, so that links lead to them.

The pages are read in the repository, too, where their links are those of files. Here the same links are turned into
those of the site.
"""

import ast
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

# Pages of the site, by their path in the repository.
ELSEWHERE = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "benchmarks/README.md": "benchmarks.md"}
SOURCES = {target: source for source, target in ELSEWHERE.items()}
EXAMPLES = "examples.md"
LINK = re.compile(r"\]\((?!https?:|#)([^)#]*)(#[^)]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are not in docs/."""
    root = root_of(config)
    for source, target in ELSEWHERE.items():
        files.append(File.generated(config, target, content=(root / source).read_text()))
    files.append(File.generated(config, EXAMPLES, content=examples(root)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Makes the links to files those to pages."""
    here = page.file.src_uri
    source = SOURCES.get(here, f"docs/{here}")
    return LINK.sub(lambda link: f"]({target_of(link[1], source, here)}{link[2] or ''})", markdown)


def root_of(config: MkDocsConfig) -> Path:
    """The directory of the repository."""
    return Path(config.docs_dir).parent


def target_of(link: str, source: str, page: str) -> str:
    """Where a link in a source leads to from its page; one to what is not on the site stays as it is."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
    anchor = ""
    if path in ELSEWHERE:
        target = ELSEWHERE[path]
    elif path == "examples" or path.startswith("examples/"):
        target, anchor = EXAMPLES, f"#{posixpath.basename(path)}".replace("#examples", "").replace(".py", "py")
    elif path.startswith("docs/"):
        target = path.removeprefix("docs/")
    else:
        return link
    return posixpath.relpath(target, posixpath.dirname(page) or ".") + anchor


def examples(root: Path) -> str:
    """One page with every program in examples/."""
    parts = ["# Examples\n"]
    for path in sorted((root / "examples").glob("*.py")):
        source = path.read_text()
        docstring = ast.get_docstring(ast.parse(source)) or ""
        parts += [f"## {path.name}\n", f"{docstring}\n", f"```python\n{source}```\n"]
    return "\n".join(parts)
