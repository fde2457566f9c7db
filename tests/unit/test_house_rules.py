"""The house rules that no linter knows, as one friendly test: each failure names the file, the line and the fix."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = {".py", ".pyi", ".pyx", ".pxd", ".c", ".h", ".sh", ".md", ".toml", ".yml", ".yaml"}
COLUMNS = 128
MAX_LINES = 500
LONG_FILES: dict[str, str] = {}
"""Files that are one idea and longer than MAX_LINES, each with the idea."""
WITHOUT_CHECK = {
    "target.h": "targets and plans are immutable: there is no state to check",
    "http1.h": "a parser is a value, not a handle",
}
EXEMPT = "tests/unit/test_house_rules.py"  # spells out what it forbids


def _tracked() -> list[Path]:
    """Files under version control; every source when there is no git here (an unpacked archive)."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode == 0:
        return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]
    hidden = re.compile(r"(^|/)(\.[^/]+|build|dist|[^/]+\.egg-info)/")
    return [path for path in ROOT.rglob("*") if path.is_file() and not hidden.search(str(path.relative_to(ROOT)))]


TRACKED = _tracked()


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _text_files(*suffixes: str) -> list[Path]:
    wanted = set(suffixes) or SOURCES
    return [path for path in TRACKED if (path.suffix in wanted or path.name in {"Makefile", "run"}) and _name(path) != EXEMPT]


def _lines(pattern: str, files: list[Path]) -> list[str]:
    wanted = re.compile(pattern)
    return [
        f"{_name(path)}:{number}: {line.strip()[:100]}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if wanted.search(line)
    ]


def test_nothing_is_left_for_later():
    assert _lines(r"\b(TODO|FIXME|XXX|HACK)\b", _text_files()) == []


def test_no_path_of_somebodys_machine_is_written_down():
    assert _lines(r"(?<![\w.])/(home/\w|root/|Users/\w|work/|mnt/)", _text_files()) == []


def test_compiled_sources_keep_to_the_line_length():
    files = _text_files(".c", ".h", ".pyx", ".pxd", ".pyi")
    assert _lines(rf"^.{{{COLUMNS + 1},}}$", [path for path in files if "Makefile" not in path.name]) == []


def test_no_file_outgrows_its_one_idea():
    code = [
        path
        for path in TRACKED
        if path.suffix in {".py", ".pyx", ".c", ".h"} and _name(path).startswith(("src/", "native/src/", "native/include/"))
    ]
    too_long = {
        _name(path): lines for path in code if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES
    }
    assert {name: lines for name, lines in too_long.items() if name not in LONG_FILES} == {}


def test_every_compiled_module_shows_its_types():
    assert [_name(path) for path in TRACKED if path.suffix == ".pyx" and not path.with_suffix(".pyi").exists()] == []


def test_every_structure_with_a_life_checks_itself():
    headers = [path for path in (ROOT / "native" / "include" / "fastprobe").glob("*.h") if path.name not in WITHOUT_CHECK]
    missing = [
        f"{header.name}: {structure}_new without {structure}_check"
        for header in headers
        for structure in re.findall(r"\bint (fp_\w+)_new\(", header.read_text(encoding="utf-8"))
        if f"{structure}_check(" not in header.read_text(encoding="utf-8")
    ]
    assert missing == []


def test_every_suppression_in_the_code_has_a_reason():
    code = _text_files(".py", ".pyx", ".pyi", ".c", ".h")
    bare = [
        *_lines(r"#\s*noqa(?!:\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*\s*[-(#]+\s*\w)", code),
        *_lines(r"#\s*type:\s*ignore(?!\[[\w-]+(,\s*[\w-]+)*\]\s*#\s*\w)", code),
        *_lines(r"\bNOLINT\w*\b(?!\([\w.,-]+\):? *\S)", code),
    ]
    assert bare == [], "write the reason behind the code, as in `# noqa: BLE001 - whatever a probe raises is its verdict`"


def test_every_ignored_lint_rule_has_a_reason():
    """In pyproject.toml a rule stands on a line whose comment says why, or per file in a table with a comment above it."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = text.partition("[tool.ruff.lint]")[2].partition("\n]")[0]
    unexplained = [line.strip() for line in section.splitlines() if re.match(r'\s+"', line) and "#" not in line]
    assert unexplained == []
    assert "select" in tomllib.loads(text)["tool"]["ruff"]["lint"]


def _pages() -> list[Path]:
    return [path for path in TRACKED if path.suffix == ".md" and _name(path).startswith("docs/")]


@pytest.mark.parametrize("page", _pages(), ids=_name)
def test_a_page_opens_with_who_it_is_for_and_ends_with_where_to_go_next(page: Path):
    text = page.read_text(encoding="utf-8")
    title, _, rest = text.partition("\n")
    assert title.startswith("# ")
    assert rest.lstrip().startswith(("*For ", "For ")), "the first sentence says who the page is for"
    last = re.split(r"^## ", text, flags=re.MULTILINE)[-1]
    assert last.startswith("Where to go next\n")
    assert "](" in last, "name at least one page to go to"


@pytest.mark.parametrize("page", [path for path in TRACKED if path.suffix == ".md"], ids=_name)
def test_every_link_inside_the_repository_leads_somewhere(page: Path):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", text)
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_probe_kind_has_its_four_files():
    """The kind, its registration (a decorator in the same file here), its test, its page."""
    kinds = [path.stem for path in (ROOT / "docs" / "probes").glob("*.md")]
    from meshkit_fastprobe.probes.builtin import builtin_kinds  # noqa: PLC0415 - the other rules hold without a build

    missing = [f"docs/probes/{kind}.md" for kind in builtin_kinds if kind not in kinds]
    tests = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    missing += [
        f"tests/**/test_{kind}*.py"
        for kind in builtin_kinds
        if not any(re.match(rf"test_{kind}(_|\.)", name) for name in tests)
    ]
    assert missing == []


def test_every_public_name_is_documented():
    import meshkit_fastprobe  # noqa: PLC0415 - the other rules hold without a build

    undocumented = [
        name
        for name in meshkit_fastprobe.__all__
        if (callable(value := getattr(meshkit_fastprobe, name)) and not (value.__doc__ or "").strip())
    ]
    assert undocumented == []
