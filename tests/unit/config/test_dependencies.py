"""Circles are found wherever they are, and chains of any length are none."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.config.dependencies import find_circle


def test_a_long_chain_is_no_circle() -> None:
    chain = {str(n): (str(n + 1),) for n in range(50_000)}
    assert find_circle(chain) == []
    assert len(find_circle({**chain, "50000": ("0",)})) == 50_001


def test_two_ways_to_the_same_place_are_no_circle() -> None:
    assert find_circle({"a": ("b", "c"), "b": ("d",), "c": ("d",), "d": ()}) == []


def test_a_circle_is_told_without_the_way_to_it() -> None:
    assert find_circle({"a": ("b",), "b": ("c",), "c": ("b",)}) == ["b", "c"]


names = st.sampled_from("abcdef")


@given(st.dictionaries(names, st.lists(names, max_size=3).map(tuple)))
def test_what_is_found_is_a_circle_and_nothing_is_missed(edges: dict[str, tuple[str, ...]]) -> None:
    circle = find_circle(edges)
    assert all(after in edges[before] for before, after in zip(circle, [*circle[1:], *circle[:1]], strict=True))
    assert bool(circle) == any(_reaches(edges, name, name) for name in edges)


def _reaches(edges: dict[str, tuple[str, ...]], start: str, goal: str) -> bool:
    seen: set[str] = set()
    left = [*edges.get(start, ())]
    while left:
        name = left.pop()
        if name == goal:
            return True
        if name not in seen:
            seen.add(name)
            left.extend(edges.get(name, ()))
    return False
