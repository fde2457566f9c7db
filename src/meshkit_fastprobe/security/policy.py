"""The one decision: may this principal do this to that? Deny beats allow, and what nobody allowed is denied.

A policy is compiled once and replaced whole. What a principal's own bindings say is gathered the first time it asks, so a
decision costs a look-up and the few scopes that are bound to it, however many bindings others have.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import translate
from functools import lru_cache
from operator import attrgetter
from typing import Final

import msgspec

from meshkit_fastprobe.access import ANYWHERE, LOCAL, Binding, Permission, Scope

MAX_REMEMBERED: Final = 4096
"""Principals whose rules are kept ready: a flood of forged subjects must not fill the memory."""


class Principal(msgspec.Struct, frozen=True):
    """Somebody whose identity has been proven. groups come from the same proof as the name.

    local: the user this process runs as. No token or certificate makes anybody that, whatever name it carries.
    """

    name: str
    groups: tuple[str, ...] = ()
    local: bool = False

    @property
    def subject(self) -> str:
        """How bindings and the audit call this principal."""
        return LOCAL if self.local else f"user:{self.name}"


LOCAL_PRINCIPAL: Final = Principal(LOCAL, local=True)


class Resource(msgspec.Struct, frozen=True):
    """What is asked about; an empty axis has no such thing (a probe without a namespace, an action without a fault)."""

    host: str = ""
    cluster: str = ""
    namespace: str = ""
    probe: str = ""
    fault: str = ""


class Decision(msgspec.Struct, frozen=True):
    """allowed, and the binding that decided; None when no binding spoke."""

    allowed: bool
    binding: Binding | None = None


Matches = Callable[[Resource], object]
Rule = tuple[Matches | None, Decision]
"""None matches everywhere."""
Rules = Mapping[Permission, Sequence[Rule]]

_NOBODY_ALLOWED: Final = Decision(allowed=False)


class Policy:
    """Bindings, ready to decide."""

    def __init__(self, bindings: Iterable[Binding]) -> None:
        self._by_subject: dict[str, list[Binding]] = defaultdict(list)
        self._by_glob: list[tuple[re.Pattern[str], Binding]] = []
        for binding in bindings:
            kind, _, name = binding.subject.partition(":")
            if kind == "user" and any(wild in name for wild in "*?["):
                self._by_glob.append((re.compile(translate(name)), binding))
            else:
                self._by_subject[binding.subject].append(binding)
        self._rules: dict[Principal, Rules] = {}

    def decide(self, principal: Principal, permission: Permission, resource: Resource) -> Decision:
        rules = self._rules.get(principal)
        if rules is None:
            rules = self._gather(principal)
        for matches, decision in rules.get(permission, ()):
            if matches is None or matches(resource):
                return decision
        return _NOBODY_ALLOWED

    def holds_anywhere(self, principal: Principal, permission: Permission) -> bool:
        """Whether some resource may exist for which the answer is yes: who has none is refused before anything is looked up."""
        rules = self._rules.get(principal) or self._gather(principal)
        for matches, decision in rules.get(permission, ()):  # those that deny come first
            if decision.allowed:
                return True
            if matches is None:
                return False
        return False

    def axes(self, principal: Principal, permission: Permission) -> frozenset[str]:
        """What decisions on this permission depend on, of the axes of a resource; none: they are the same for all."""
        rules = self._rules.get(principal) or self._gather(principal)
        bindings = [decision.binding for _, decision in rules.get(permission, ()) if decision.binding is not None]
        return frozenset(
            axis for binding in bindings for axis, glob in msgspec.structs.asdict(binding.scope).items() if glob != ANYWHERE
        )

    def bindings_of(self, principal: Principal) -> list[Binding]:
        found = list(self._by_subject.get(principal.subject, ()))
        for group in principal.groups:
            found.extend(self._by_subject.get(f"group:{group}", ()))
        if not principal.local:
            found.extend(binding for pattern, binding in self._by_glob if pattern.match(principal.name))
        return found

    def _gather(self, principal: Principal) -> Rules:
        bindings = self.bindings_of(principal)
        bindings.sort(key=lambda binding: not binding.deny)  # deny beats allow: the first that matches decides
        gathered: dict[Permission, list[Rule]] = defaultdict(list)
        for binding in bindings:
            matches, decision = _matcher(binding.scope), Decision(not binding.deny, binding)
            for permission in binding.grants():
                gathered[permission].append((matches, decision))
        if len(self._rules) >= MAX_REMEMBERED:
            self._rules.clear()
        # Tuples: one line of memory less to fetch for whoever has not asked for a while.
        rules = self._rules[principal] = {permission: tuple(found) for permission, found in gathered.items()}
        return rules


@lru_cache(maxsize=4096)
def _matcher(scope: Scope) -> Matches | None:
    """One test for the axes that are bound at all; the same for the same scope, so that many bindings stay in the cache."""
    axes = [(axis, glob) for axis, glob in msgspec.structs.asdict(scope).items() if glob != ANYWHERE]
    if not axes:
        return None
    patterns = [(attrgetter(axis), _test(glob)) for axis, glob in axes]
    if len(patterns) == 1:  # as most scopes are: without the loop a decision costs a third
        [(get, matches)] = patterns
        return lambda resource: matches(get(resource))
    return lambda resource: all(matches(get(resource)) for get, matches in patterns)


def _test(glob: str) -> Callable[[str], object]:
    """Most globs are a word, or the beginning of one."""
    if not any(wild in glob for wild in "*?["):
        return glob.__eq__
    start = glob[:-1]
    if glob.endswith("*") and not any(wild in start for wild in "*?["):
        return lambda text: text.startswith(start)
    return re.compile(translate(glob)).match
