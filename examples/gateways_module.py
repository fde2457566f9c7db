"""The gateways module of a mesh: hundreds of targets that come and go, probed one by one and judged by zone.

Membership is state, not events: `reconcile` takes who is a member now and makes the probes agree. It may be called with the
same members again, and after any number of lost notifications.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import meshkit_fastprobe as fp

NAMESPACE = "edge"


@dataclass(frozen=True)
class Gateway:
    """One member as discovery knows it."""

    name: str
    zone: str
    address: str


@dataclass(frozen=True)
class Changes:
    """What reconciling came to."""

    added: int
    removed: int


class Gateways:
    """Probes of all gateways, and for each zone a quorum that says whether it can carry traffic."""

    def __init__(self, diag: fp.Diagnostics, uplinks: dict[str, str], at_least: str = "60%") -> None:
        """uplinks: for each zone the router that all of its gateways are behind."""
        self._diag = diag
        self._members: dict[str, Gateway] = {}
        for zone, address in uplinks.items():
            diag.add(fp.TcpProbe(address), name=f"uplink-{zone}", interval="1s", timeout="300ms", namespace=NAMESPACE)
            quorum = fp.QuorumProbe(f"gateway-{zone}-*", at_least=at_least)
            diag.add(quorum, name=f"zone-{zone}", interval="5s", timeout="1s", namespace=NAMESPACE)

    def reconcile(self, members: Iterable[Gateway]) -> Changes:
        """Make the probes agree with who is a member now. One that moved is new: its history is of another place."""
        wanted = {f"gateway-{member.zone}-{member.name}": member for member in members}
        gone = [name for name, member in self._members.items() if wanted.get(name) != member]
        new = {name: member for name, member in wanted.items() if self._members.get(name) != member}
        for name in gone:
            self._diag.remove(name)
        for name, member in new.items():
            self._diag.add(
                fp.TcpProbe(member.address),
                name=name,
                interval="2s",
                timeout="500ms",
                rise=2,
                fall=2,
                # When the uplink is down, fifty gateways behind it are no news: they are suppressed, and it is the alert.
                depends_on=(f"uplink-{member.zone}",),
                namespace=NAMESPACE,
                labels={"zone": member.zone},
            )
        self._members = wanted
        return Changes(len(new), len(gone))

    def zones_to_drain(self) -> list[str]:
        """Zones that traffic should leave: fewer gateways are up than are needed."""
        snapshot = self._diag.snapshot()
        zones = [name for name in snapshot.names if name.startswith("zone-")]
        return [name.removeprefix("zone-") for name in zones if snapshot[name].state is fp.State.UNHEALTHY]
