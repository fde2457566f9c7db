"""The house rules that no linter knows, as one friendly test: each failure names the file, the line and the fix."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import meshkit_fastprobe
from meshkit_fastprobe.probes.builtin import builtin_kinds

ROOT = Path(__file__).parents[2]
INCLUDE = ROOT / "native" / "include" / "fastprobe"
SOURCES = {".py", ".pyi", ".pyx", ".pxd", ".c", ".h", ".sh", ".md", ".toml", ".yml", ".yaml"}
CODE = (".py", ".pyi", ".pyx", ".pxd", ".c", ".h")
COLUMNS = 128
MAX_LINES = 500
LONG_FILES = {"native/src/http1.c": "one protocol's parser, from the first byte to the verdict"}
"""Files that are one idea and longer than MAX_LINES, each with the idea."""
WITHOUT_CHECK = {
    "target.h": "targets and plans are immutable: there is no state to check",
    "datagram.h": "likewise: plans alone",
}
FRAGMENT = re.compile(r"\+[\w-]+\.(added|changed|fixed|removed|security)\.md")


def _tracked() -> list[Path]:
    """Files under version control; every source when there is no git here (an unpacked archive)."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode == 0:
        return [path for line in listed.stdout.splitlines() if (path := ROOT / line).is_file()]
    hidden = re.compile(r"(^|/)(\.[^/]+|build|dist|[^/]+\.egg-info)/")
    return [path for path in ROOT.rglob("*") if path.is_file() and not hidden.search(_name(path))]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


TRACKED = _tracked()
PAGES = [path for path in TRACKED if path.suffix == ".md"]
TEXTS = [
    path
    for path in TRACKED
    if path != Path(__file__)  # spells out what it forbids
    and (path.suffix in SOURCES or path.name == "Makefile" or _name(path) == ".ci/run")
]


def _with_suffix(*suffixes: str) -> list[Path]:
    return [path for path in TEXTS if path.suffix in suffixes]


def _lines(pattern: str, files: list[Path]) -> list[str]:
    wanted = re.compile(pattern)
    return [
        f"{_name(path)}:{number}: {line.strip()[:100]}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if wanted.search(line)
    ]


def _prose(page: Path) -> str:
    """A page without its code: what looks like a link or a heading in there is neither."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def test_the_rules_look_at_the_tree():
    assert len(TEXTS) > 100
    assert {"Makefile", ".ci/run", "README.md", "pyproject.toml"} <= {_name(path) for path in TEXTS}


# -- text ----------------------------------------------------------------------------------------------------------------


def test_nothing_is_left_for_later():
    assert _lines(r"\b(TODO|FIXME|XXX|HACK)\b", TEXTS) == []


def test_no_merge_is_left_half_done():
    assert _lines(r"^(<{7}|={7}|>{7}|\|{7})( |$)", TEXTS) == []


def test_no_path_of_somebodys_machine_is_written_down():
    assert _lines(r"(?<![\w.])/(home/\w|root/|Users/\w|work/|mnt/)", TEXTS) == []


def test_compiled_sources_keep_to_the_line_length():
    """Ruff holds Python, cython-lint the rest of Cython, and clang-format leaves a long comment or string as it is."""
    assert _lines(rf"^.{{{COLUMNS + 1},}}$", _with_suffix(".c", ".h", ".pyx", ".pxd", ".pyi")) == []


def test_no_file_outgrows_its_one_idea():
    shipped = [path for path in _with_suffix(*CODE) if _name(path).startswith(("src/", "native/src/", "native/include/"))]
    long = {_name(path) for path in shipped if len(path.read_text(encoding="utf-8").splitlines()) > MAX_LINES}
    assert long == set(LONG_FILES), "split it by its ideas, or say in LONG_FILES what the one idea is"


def test_every_suppression_in_the_code_has_a_reason():
    code = _with_suffix(*CODE)
    bare = [
        *_lines(r"#\s*noqa(?!:\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*\s*[-(#]+\s*\w)", code),
        *_lines(r"#\s*type:\s*ignore(?!\[[\w-]+(,\s*[\w-]+)*\]\s*[-#]+\s*\w)", code),
        *_lines(r"\bNOLINT\w*\b(?!\([\w.,-]+\):? *\S)", code),
    ]
    assert bare == [], "write the reason behind the code, as in `# noqa: BLE001 - whatever a probe raises is its verdict`"


def test_every_ignored_lint_rule_has_a_reason():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    ignored = text.partition("[tool.ruff.lint]")[2].partition("\n]")[0].partition("ignore = [")[2]
    assert ignored
    assert [line.strip() for line in ignored.splitlines() if line.strip().startswith('"') and "#" not in line] == []
    assert tomllib.loads(text)["tool"]["ruff"]["lint"]["select"] == ["ALL"]


def test_nothing_goes_through_a_shell():
    """Programs get their arguments as a list: what an operator or a plan from the disk says is never read as a command."""
    shipped = [path for path in _with_suffix(".py", ".pyx") if _name(path).startswith("src/")]
    ways = (
        r"shell\s*=\s*(True|1)",
        r"\bos\.(system|popen)\(",
        r"\bget(status)?output\(",
        r"\bcreate_subprocess_shell\(",
        r"""["'](/(usr/)?bin/)?(ba|da|z)?sh["'],\s*["']-\w*c["']""",
    )
    assert [line for way in ways for line in _lines(way, shipped)] == []


# -- the C core and what wraps it ----------------------------------------------------------------------------------------


def test_every_compiled_module_shows_its_types():
    assert [_name(path) for path in TRACKED if path.suffix == ".pyx" and not path.with_suffix(".pyi").exists()] == []


def test_every_structure_with_a_life_checks_itself():
    headers = {path.name: path.read_text(encoding="utf-8") for path in INCLUDE.glob("*.h") if path.name not in WITHOUT_CHECK}
    handles = [(name, handle) for name, text in headers.items() for handle in re.findall(r"\bint (fp_\w+)_new\(", text)]
    assert {handle for _, handle in handles} >= {"fp_engine", "fp_ring", "fp_table", "fp_wheel"}
    assert [f"{name}: {handle}_check" for name, handle in handles if f"{handle}_check(" not in headers[name]] == []


def test_every_header_of_the_surface_says_what_it_is():
    assert [path.name for path in INCLUDE.glob("*.h") if not path.read_text(encoding="utf-8").startswith("/* ")] == []


# -- pages ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [page for page in PAGES if _name(page).startswith("docs/")], ids=_name)
def test_a_page_opens_with_who_it_is_for_and_ends_with_where_to_go_next(page: Path):
    title, _, rest = page.read_text(encoding="utf-8").partition("\n")
    assert title.startswith("# ")
    assert rest.lstrip().startswith("*For "), "the first sentence says who the page is for"
    last = re.split(r"^## ", _prose(page), flags=re.MULTILINE)[-1]
    assert last.startswith("Where to go next\n"), "the last heading is `## Where to go next`"
    assert "](" in last, "name at least one page to go to"


def _anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links, as GitHub does it."""
    headings = re.findall(r"^#+ (.+)$", _prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_inside_the_repository_leads_somewhere(page: Path):
    broken = []
    for link in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", _prose(page)):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert broken == []


def test_no_page_is_out_of_reach_from_the_readme():
    seen: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page in seen or page.suffix != ".md" or not page.is_file():
            continue
        seen.add(page)
        ahead += [(page.parent / link).resolve() for link in re.findall(r"\]\((?!https?:|mailto:)([^)#\s]+)", _prose(page))]
    assert [_name(page) for page in PAGES if _name(page).startswith("docs/") and page not in seen] == []


def test_fragments_of_the_changelog_say_what_sort_of_change_they_are():
    fragments = [path.name for path in PAGES if path.parent == ROOT / "changes"]
    assert [name for name in fragments if not FRAGMENT.fullmatch(name)] == [], (
        "changes/+SHORT-NAME.added.md, see CONTRIBUTING.md"
    )


# -- what people meet ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(builtin_kinds))
def test_every_probe_kind_has_a_test_and_a_page(kind: str):
    """The other two of its four files are the kind itself and its registration: without them it would not be here."""
    assert (ROOT / "docs" / "probes" / f"{kind}.md").exists()
    assert any(re.match(rf"test_{kind}[_.]", path.name) for path in TRACKED)


def test_every_public_name_is_documented():
    public = {name: getattr(meshkit_fastprobe, name) for name in meshkit_fastprobe.__all__}
    assert [name for name, value in public.items() if callable(value) and not (value.__doc__ or "").strip()] == []


@pytest.mark.parametrize("api", [meshkit_fastprobe.Diagnostics, meshkit_fastprobe.Snapshot])
def test_every_method_of_the_api_is_documented(api: type):
    methods = {key: value for key, value in vars(api).items() if not key.startswith("_") and callable(value)}
    assert [key for key, value in methods.items() if not (value.__doc__ or "").strip()] == []
