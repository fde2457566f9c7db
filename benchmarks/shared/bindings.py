"""The same policy for every engine: bindings over a thousand principals, and what they ask."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

PRINCIPALS = 1000
NAMESPACES = 200

Question = tuple[str, str, str]
"""principal, permission, namespace"""


def bindings(n: int, principals: int = PRINCIPALS) -> list[tuple[str, str, str]]:
    """(principal, permission, glob of namespaces), spread evenly over so many; the same for the same n."""
    dice = random.Random(n)
    permissions = ("probes.read", "probes.run", "chaos.stop")
    return [
        (f"user-{index % principals}", permissions[index // principals % 3], f"team-{dice.randrange(NAMESPACES)}-*")
        for index in range(n)
    ]


def questions(rules: list[tuple[str, str, str]]) -> list[Question]:
    """Half of them are allowed."""
    dice = random.Random(1)
    asked = []
    for principal, permission, glob in dice.choices(rules, k=1000):
        asked.append((principal, permission, glob.replace("*", "orders")))
        asked.append((principal, permission, "team-none-orders"))
    return asked


def timed(workload: dict[str, Any], decide: Callable[[Question], bool], asked: list[Question]) -> dict[str, Any]:
    """Microseconds a decision, once every principal has asked before."""
    asked = asked[: workload["decisions"]]
    allowed = sum(decide(question) for question in asked)
    assert 0.4 <= allowed / len(asked) <= 0.6, allowed
    rounds = max(1, workload["decisions"] // len(asked))
    began_s = time.perf_counter()
    for _ in range(rounds):
        for question in asked:
            decide(question)
    return {"us": (time.perf_counter() - began_s) / (rounds * len(asked)) * 1e6}
