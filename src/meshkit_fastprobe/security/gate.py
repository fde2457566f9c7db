"""The gate every request passes: it asks the policy, and counts what the policy says."""

from __future__ import annotations

from collections import Counter

from meshkit_fastprobe.access import Permission, SecuritySettings
from meshkit_fastprobe.security.policy import Policy, Principal, Resource
from meshkit_fastprobe.security.rates import Rates


class Gate:
    """One for the life of a host; `replace` swaps what it goes by, whole."""

    def __init__(self, settings: SecuritySettings) -> None:
        self.policy = Policy(settings.all_bindings())
        self.rates = Rates(settings.max_rate)
        self.decisions: Counter[tuple[str, bool]] = Counter()
        """How often each permission was given (True) and refused (False)."""

    def replace(self, settings: SecuritySettings) -> None:
        self.policy = Policy(settings.all_bindings())
        self.rates.max_rate = settings.max_rate

    def allows(self, principal: Principal, permission: Permission, resource: Resource) -> bool:
        allowed = self.policy.decide(principal, permission, resource).allowed
        self.decisions[permission, allowed] += 1
        return allowed

    def allows_anywhere(self, principal: Principal, permission: Permission) -> bool:
        """Whether there may be something for which the answer is yes; what it is, the listing filters by itself."""
        allowed = self.policy.holds_anywhere(principal, permission)
        self.decisions[permission, allowed] += 1
        return allowed
