"""depends_on, across all probes of a file: every name exists and nothing depends on itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from meshkit_fastprobe.config.places import Place, Problems, shown, suggestion
from meshkit_fastprobe.config.spec import ProbeSpec
from meshkit_fastprobe.turns import AT_ONCE, Turns, finish

COMPARED: Final = 1000
"""Names worth comparing with a mistyped one: each costs some microseconds."""


def check_dependencies(specs: Mapping[str, ProbeSpec], tables: Mapping[str, Place], problems: Problems) -> None:
    """Refuse dependencies on names that no probe has, and circles. `tables`: where each probe was written."""
    dependents = {name: spec for name, spec in specs.items() if spec.options.depends_on}
    said: set[tuple[str, str]] = set()
    for spec in dependents.values():
        for name in spec.options.depends_on:
            if name not in specs and (spec.source, name) not in said:
                said.add((spec.source, name))  # all probes of one table depend on the same names: once is enough
                problems.add(tables[spec.name].at("depends_on"), f"no probe is named {shown(name)}", _fix(name, specs))
    circle = find_circle({name: spec.options.depends_on for name, spec in dependents.items()})
    if circle:
        problems.add(
            tables[circle[0]].at("depends_on"), f"a circle: {' -> '.join([*circle, circle[0]])}", "remove one of these"
        )


def find_circle(edges: Mapping[str, tuple[str, ...]], roots: Iterable[str] | None = None) -> list[str]:
    """Names that depend on each other in a circle, or none. roots: where to begin, when the rest is known to have none."""
    return finish(search_circle(edges, edges if roots is None else roots))


def search_circle(edges: Mapping[str, tuple[str, ...]], roots: Iterable[str]) -> Turns[list[str]]:
    """The same, a little at a time. Without recursion: chains may be as long as there are probes."""
    done: set[str] = set()
    steps = 0
    for root in roots:
        path: list[str] = []
        on_path: set[str] = set()
        left = [iter((root,))]
        while left:
            name = next(left[-1], None)
            steps += 1
            if steps % AT_ONCE == 0:
                yield
            if name is None:
                left.pop()
                if path:
                    done.add(path[-1])
                    on_path.discard(path.pop())
            elif name in on_path:
                return path[path.index(name) :]
            elif name not in done and name in edges:
                path.append(name)
                on_path.add(name)
                left.append(iter(edges[name]))
    return []


def _fix(name: str, specs: Mapping[str, ProbeSpec]) -> str:
    expanded = next((known for known in specs if known.startswith(f"{name}:")), None)
    if expanded is not None:
        return f"with several targets each has a name of its own, as {shown(expanded)}"
    return suggestion(name, specs) if len(specs) <= COMPARED else "name a probe of this file"
