"""`python tools/python_reference.py`: write docs/reference/python.md from the public names, their signatures and docstrings."""

from __future__ import annotations

import enum
import inspect
import re
from pathlib import Path
from typing import Any, Final

import msgspec

import meshkit_fastprobe as fp

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "reference" / "python.md"
CHAPTERS: Final = {
    "The host": (
        "Diagnostics",
        "Settings",
        "ServerSettings",
        "HistorySettings",
        "OtlpSettings",
        "ControlEndpoint",
        "Config",
        "load_config",
        "ReloadSummary",
    ),
    "Probes": (
        *("TcpProbe", "HttpProbe", "HttpExpect", "HttpsProbe", "DnsProbe", "UdpProbe", "IcmpProbe", "TlsProbe", "GrpcProbe"),
        *("WatchProbe", "ExecProbe", "QuorumProbe", "Tls", "Via", "ProbeOptions", "ProbeRegistry", "probe_kind", "Lane"),
    ),
    "What probes tell": (
        *("Outcome", "Result", "Reason", "State", "Snapshot", "ProbeView", "RecentResult", "Totals", "Group", "Transition"),
        *("Explanation", "RunReport", "Phases"),
    ),
    "Shares and maintenance": ("Budgets", "Budget", "BudgetUse", "Maintenance", "Once", "Weekly"),
    "Experiments": ("ChaosSettings", "Experiment", "Selector", "SteadyState", "Blackout", "ProxySettings", "stream_through"),
    "Errors": (),
}
"""Names of the last chapter are the exceptions; a name in none is a mistake, and so is one in two."""

HEAD: Final = """\
# Python

*For whoever embeds this package: every public name of `meshkit_fastprobe`, with its signature. Written by
`python tools/python_reference.py` from the code; a test holds the two together. Begin at [Embed it](../how-to/embed.md).*

Fields and parameters end in their unit: `_s` seconds, `_ms` milliseconds, `_ns` nanoseconds, `_ratio` a share from 0 to 1.
Parameters without one that are times (`interval`, `timeout`, …) take seconds as a number, or text such as `"250ms"`, `"5s"`,
`"1m"`. All classes of settings and of answers are frozen.

"""
FOOT: Final = """\
## Where to go next

- [Embed it in a service](../how-to/embed.md), [with a container of dependencies](../how-to/embed-with-a-container.md).
- [Write a probe](../how-to/write-a-probe.md) or [a fault](../how-to/write-a-fault.md), with the further names that they need.
- [Configuration](configuration.md): the same settings in a file.
"""
WIDTH: Final = 116


def page() -> str:
    """The whole page. ValueError when a public name stands in no chapter, or says nothing of itself."""
    chapters = CHAPTERS | {"Errors": tuple(sorted(name for name in fp.__all__ if _is_error(getattr(fp, name))))}
    told = [name for names in chapters.values() for name in names]
    if sorted(told) != sorted(fp.__all__):
        raise ValueError(f"in no chapter, or in two: {sorted(set(told) ^ set(fp.__all__)) or 'a name twice'}")
    text = [HEAD]
    for chapter, names in chapters.items():
        text.append(f"## {chapter}\n\n")
        text.extend(_entry(name, getattr(fp, name)) for name in names)
    return "".join(text) + FOOT


def _is_error(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Exception)


def _entry(name: str, value: Any) -> str:
    said = inspect.getdoc(value) if "__doc__" in vars(value) or callable(value) else None
    if not said or said.startswith(f"{name}("):  # what a dataclass makes up
        raise ValueError(f"{name} has no docstring")
    parts = [f"### {name}\n\n", *_fenced(name, value), f"{_marked(said)}\n\n"]
    if isinstance(value, type) and issubclass(value, enum.Enum):
        parts.append(_members(value))
    elif isinstance(value, type) and not _is_error(value):
        parts.append(_public_parts(value))
    return "".join(parts)


def _fenced(name: str, value: Any) -> list[str]:
    """The signature, a parameter a line where they do not fit on one; none for an enum."""
    if isinstance(value, type) and (issubclass(value, enum.Enum) or _is_error(value)):
        return [f"```text\nclass {name}({', '.join(base.__name__ for base in value.__bases__)})\n```\n\n"]
    return [f"```text\n{_signature(name, value)}\n```\n\n"]


def _signature(name: str, value: Any) -> str:
    signature = inspect.signature(value)
    parameters = [each for each in signature.parameters.values() if each.name not in {"self", "cls"}]
    returns = (
        ""
        if isinstance(value, type) or signature.return_annotation is signature.empty
        else f" -> {_type(signature.return_annotation)}"
    )
    words: list[str] = []
    for each in parameters:
        if each.kind is each.KEYWORD_ONLY and not any(word.startswith("*") for word in words):
            words.append("*")
        words.append(_parameter(each))
    one = f"{name}({', '.join(words)}){returns}"
    if len(one) <= WIDTH:
        return one
    return f"{name}(\n" + "".join(f"    {word},\n" for word in words) + f"){returns}"


def _parameter(each: inspect.Parameter) -> str:
    star = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}.get(each.kind, "")
    typed = "" if each.annotation is each.empty else f": {_type(each.annotation)}"
    default = "" if each.default is each.empty else f" = {_default(each.default)}"
    return f"{star}{each.name}{typed}{default}"


def _type(annotation: Any) -> str:
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    short = re.sub(r"\b(?:[a-z_]\w*\.)+(?=[A-Za-z_])", "", text).replace("NoneType", "None")
    # What NumPy's own alias stands for, with the versions that have it as a plain one.
    return re.sub(r"ndarray\[tuple\[Any, \.\.\.\], dtype\[(\w+)\]\]", r"NDArray[\1]", short)


def _default(value: Any) -> str:
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    text = repr(value)
    if text.startswith("<"):
        return "..."
    return text if len(text) <= 40 else f"{type(value).__name__}(…)"


def _members(value: type[enum.Enum]) -> str:
    return "".join(f"- `{member.name}`\n" for member in value) + "\n"


def _public_parts(value: type) -> str:
    """Methods and properties that the class itself has and says something of; fields stand in its signature."""
    fields = {field.name for field in msgspec.structs.fields(value)} if issubclass(value, msgspec.Struct) else set()
    lines = []
    for name, part in vars(value).items():
        said = inspect.getdoc(part)
        # A plain value has the docstring of its type, which says nothing of it.
        if name.startswith("_") or name in fields or not said or said == inspect.getdoc(type(part)):
            continue
        plain = part.__func__ if isinstance(part, classmethod | staticmethod) else part
        shown = f"{name}" if isinstance(part, property) or not callable(plain) else _signature(name, plain)
        kind = "async " if inspect.iscoroutinefunction(plain) else ""
        lines.append(f"```text\n{kind}{shown}\n```\n\n{_marked(said)}\n\n")
    return "".join(lines)


def _marked(said: str) -> str:
    """Docstrings as paragraphs; indented examples as text, and nothing that Markdown would take for HTML."""
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(said))
    return "\n\n".join(re.sub(r"<(?=[a-zA-Z/])", "&lt;", paragraph) for paragraph in paragraphs)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
