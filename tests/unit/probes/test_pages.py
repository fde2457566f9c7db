"""The pages of docs/probes name what the code has: every kind, every option of it, every reason it can give."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from meshkit_fastprobe.model import Reason
from meshkit_fastprobe.probes.builtin import builtin_kinds
from meshkit_fastprobe.probes.tls_settings import Tls
from meshkit_fastprobe.probes.via import Via

ROOT = Path(__file__).parents[3]
PAGES = ROOT / "docs" / "probes"
PROBES = ROOT / "src" / "meshkit_fastprobe" / "probes"
ENGINE = ROOT / "native" / "src"
KINDS = sorted(builtin_kinds)
ELSEWHERE = {Tls: "tls", Via: "tcp"}
"""Options that many kinds share, and the page that has them."""
NATIVE = {"tcp", "http", "dns", "udp", "icmp"}
OF_THE_ENGINE = ("engine_runs.c", "connections.c", "route.c")
"""What native kinds share; what one has alone is in probes/KIND.c, or below."""
OF_ONE = {"dns": ("dns_message.c", "dns_plan.c"), "udp": ("udp_plan.c",), "icmp": ("echoes.c", "echo_message.c")}
EVERYWHERE = {Reason.NONE, Reason.SLOW, Reason.LATE, Reason.TIMEOUT, Reason.EXCEPTION, Reason.REPORTED}
"""Not of a kind: what any run may come to, as concepts.md tells."""
NOT_ITS_OWN = {
    "dns": {"response_timeout"},  # silence is dns_timeout, over TCP as well
    "grpc": {"body_mismatch", "header_mismatch", "http_body_limit"},  # of the judge of HTTP, whose exception it shares
    "icmp": {"connect_refused", "connect_reset", "connect_timeout", "response_reset", "response_timeout"},  # no connection
    "tcp": {"response_reset", "response_timeout"},  # asks for no response
    "tls": {"body_mismatch", "header_mismatch", "http_body_limit", "http_status"},
    "udp": {"connect_reset", "connect_timeout", "response_reset"},  # no connection
    "watch": {"body_mismatch"},
}
"""Reasons that code which a kind shares with others gives to those."""
SHARED = ("base", "via", "registry", "registrar", "catalog", "targets", "fixed", "seeing")


def page(kind: str) -> str:
    return (PAGES / f"{kind}.md").read_text(encoding="utf-8")


def said(kind: str, seen: frozenset[str] = frozenset()) -> str:
    """A page with those that it refers to by `those of [tcp](tcp.md)`, or in such a list."""
    text = page(kind)
    lists = re.findall(r"[Tt]hose of ((?:(?:,\s|\sand\s)?\[\w+\]\(\w+\.md\))+)", text)
    others = {name for words in lists for name in re.findall(r"\((\w+)\.md", words)} - seen - {kind}
    return text + "".join(said(other, seen | others | {kind}) for other in sorted(others))


def modules(name: str, found: set[str] | None = None) -> set[str]:
    """The modules of probes/ that a kind is made of."""
    found = set() if found is None else found
    if name in found or name in SHARED or not (PROBES / f"{name}.py").exists():
        return found
    found.add(name)
    text = (PROBES / f"{name}.py").read_text(encoding="utf-8")
    imported = re.findall(r"meshkit_fastprobe\.probes\.(\w+)", text)
    imported += [
        word for line in re.findall(r"from meshkit_fastprobe\.probes import ([\w, ]+)", text) for word in line.split(", ")
    ]
    for other in imported:
        modules(other, found)
    return found


def reasons(kind: str) -> set[Reason]:
    """All that the code of a kind names, in Python and in C; skips are not results, and have a table of their own."""
    texts = [(PROBES / f"{name}.py").read_text(encoding="utf-8") for name in modules(kind)]
    names = {name for text in texts for name in re.findall(r"\bReason\.([A-Z_]+)", text)}
    if kind in NATIVE:
        files = [*OF_THE_ENGINE, f"probes/{kind}.c", *OF_ONE.get(kind, ())]
        names |= {name for file in files for name in re.findall(r"FP_REASON_([A-Z_]+)", (ENGINE / file).read_text())}
    found = {Reason[name] for name in names} - EVERYWHERE
    return {reason for reason in found if reason < Reason.OVERLAP}


def test_every_kind_has_a_page_and_every_page_a_kind() -> None:
    assert {file.stem for file in PAGES.glob("*.md")} == {*KINDS, "callable"}


@pytest.mark.parametrize("kind", [*KINDS, "callable"])
def test_a_page_says_for_whom_shows_how_and_leads_on(kind: str) -> None:
    text = page(kind)
    assert re.match(rf"# {kind}\n\n\*For who", text)
    assert "```python" in text
    assert "```toml" in text or kind == "callable"
    assert re.search(r"\n## Where to go next\n\n[^#]*\(\S+\.md[^#]*$", text)


@pytest.mark.parametrize("kind", KINDS)
def test_every_option_of_a_kind_is_on_its_page(kind: str) -> None:
    missing = []
    for field in msgspec.structs.fields(builtin_kinds[kind]):
        if f"`{field.name}`" not in page(kind) and f"`{field.name}." not in page(kind):
            missing.append(field.name)
        nested = [part for part in (field.type, *getattr(field.type, "__args__", ())) if hasattr(part, "__struct_fields__")]
        for struct in nested:
            where = ELSEWHERE.get(struct)
            text = page(where or kind) if struct.__name__ != "HttpExpect" else page("http")
            prefix = "" if where else f"{field.name}."
            missing += [f"{field.name}.{name}" for name in struct.__struct_fields__ if f"`{prefix}{name}`" not in text]
            if where and where != kind and f"({where}.md" not in page(kind):
                missing.append(f"a link to {where}.md for {field.name}")
    assert missing == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_reason_of_a_kind_is_on_its_page(kind: str) -> None:
    text = said(kind)
    missing = {str(reason) for reason in reasons(kind) if f"`{reason}`" not in text}
    assert sorted(missing) == sorted(NOT_ITS_OWN.get(kind, ()))
