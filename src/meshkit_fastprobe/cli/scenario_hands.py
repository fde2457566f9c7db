"""A scenario's hands on one host, over HTTP: each request on a thread, with a connection that nobody else uses meanwhile."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from copy import copy
from typing import Any, Final
from urllib.parse import quote

import msgspec
import trio

from meshkit_fastprobe.chaos.run import Measure
from meshkit_fastprobe.chaos.scenarios.hands import Hands, HostLostError, HostRefusedError, Offered, ReceiptReference, Seen
from meshkit_fastprobe.chaos.scenarios.judging import Sums
from meshkit_fastprobe.chaos.scenarios.planning import Known, touched
from meshkit_fastprobe.chaos.states import LIVE, Phase
from meshkit_fastprobe.cli.client import Client
from meshkit_fastprobe.cli.exits import Exit
from meshkit_fastprobe.cli.wire import DOING_S, Params, Wire
from meshkit_fastprobe.cli.words import seconds_of
from meshkit_fastprobe.experiments import Selector

MOST_PROBES: Final = 100_000
"""Of a set of probes that is chosen by name."""
_SHOWN: Final = ("experiment", "parameters", "duration_s", "recovery_s", "steady_state", "affects", "two_person")
"""Of the canonical plan, beside what its fault names: process ids and the like may be others by the time of a step."""
_SHOWN_OF_FAULT: Final = ("kind", "backend", "targets")
_PHASES: Final = frozenset(Phase)


class HttpHands:
    """Of one host. reason and ticket go into its audit with every verb that starts something."""

    def __init__(self, client: Client, *, reason: str = "", ticket: str = "") -> None:
        assert len(client.hosts) == 1
        self._client = client
        self._why = {"reason": reason, "ticket": ticket}
        self._idle: list[Wire] = [client.wire]
        self.url = client.hosts[0]
        self.host = self.url
        """Its name, once it has answered."""

    # -- Hands -------------------------------------------------------------------------------------------------------------

    async def prepare(self, experiment: str) -> Offered:
        return offered_of(await self._item("POST", f"{_path(experiment)}:prepare", body=self._why))

    async def activate(self, experiment: str, token: str) -> Seen:
        item = await self._item("POST", f"{_path(experiment)}:activate", body={**self._why, "token": token}, answer_s=DOING_S)
        return seen_of(item["run"])

    async def run(self, experiment: str, run: str) -> Seen:
        newest = (await self._item("GET", _path(experiment))).get("run")
        if newest is not None and newest["id"] == run:
            return seen_of(newest)
        return seen_of(await self._item("GET", f"/chaos/runs/{quote(run, safe='')}"))

    async def stop(self, experiment: str, run: str, reason: str) -> Seen:
        seen = await self.run(experiment, run)
        if seen.is_over:
            return seen
        item = await self._item("POST", f"{_path(experiment)}:stop", body={"reason": reason}, answer_s=DOING_S)
        return seen_of(item["run"]) if item["run"]["id"] == run else await self.run(experiment, run)

    async def in_force(self) -> Mapping[str, str]:
        return {item["id"]: item["run"]["id"] for item in await self._items("/chaos/experiments") if item["phase"] in LIVE}

    async def toggles(self) -> Mapping[str, bool | str]:
        return {item["name"]: item["value"] for item in await self._items("/toggles")}

    async def sums(self, probes: Selector) -> Sums:
        chosen = _params(probes)
        if probes.name is not None:
            return _counted(await self._items("/probes", [*chosen, ("name", probes.name)], most=MOST_PROBES))
        items = await self._items("/groups", [("by", ""), ("buckets", "true"), *chosen])
        return _summed(items[0]) if items else Sums(states={}, stale=0, runs=0, passed=0, buckets={})

    async def receipt(self, run: str) -> ReceiptReference:
        path = f"/chaos/receipts/{quote(run, safe='')}"
        item = await self._item("GET", path)
        digest = hashlib.sha256(item["content"].encode()).hexdigest()
        return ReceiptReference(path=path, sha256=digest, signature=item["signature"], public_key=item["publicKey"])

    # -- beside it ---------------------------------------------------------------------------------------------------------

    async def experiments(self) -> dict[str, Known]:
        """What may be a step."""
        return {item["id"]: known_of(item) for item in await self._items("/chaos/experiments")}

    async def rehearsed(self, experiment: str) -> dict[str, Any]:
        """What would be prepared, as the host tells it; refused where that would be, and nothing of it is kept."""
        return await self._item("POST", f"{_path(experiment)}:prepare", body={**self._why, "dryRun": True})

    async def _item(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, answer_s: float | None = None
    ) -> dict[str, Any]:
        item: dict[str, Any] = (await self._ask(method, path, [], body, answer_s=answer_s))["item"]
        return item

    async def _items(self, path: str, params: Params = (), most: int = 0) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await self._ask("GET", path, params, None, most))["items"]
        return items

    async def _ask(
        self,
        method: str,
        path: str,
        params: Params,
        body: Mapping[str, Any] | None,
        most: int = 0,
        answer_s: float | None = None,
    ) -> dict[str, Any]:
        wire = self._idle.pop() if self._idle else self._client.wire.another()
        alone = copy(self._client)
        alone.wire = wire
        url = alone.hosts[0]
        if most:
            answer = await trio.to_thread.run_sync(alone.pages, url, path, params, most)
        else:
            # Who ends the scenario meanwhile waits for no slow host: it is asked to undo whatever this comes to.
            answer = await trio.to_thread.run_sync(
                lambda: alone.one(url, method, path, params, body, answer_s=answer_s), abandon_on_cancel=answer_s is not None
            )
        self._idle.append(wire)
        if answer.envelope is not None:
            self.host = answer.host
            return answer.envelope
        if answer.code is Exit.UNREACHABLE:
            raise HostLostError(answer.problem)
        raise HostRefusedError(answer.problem, answer.next_step)


def offered_of(item: Mapping[str, Any]) -> Offered:
    """Of what :prepare answers."""
    run, confirmation = item["run"], item["confirmation"]
    return Offered(
        run=seen_of(run),
        token=confirmation["token"],
        lasts_s=confirmation["expiresSeconds"],
        two_person=run["phase"] == Phase.AWAITING_APPROVAL,
        shown=shown_of(run["plan"]),
        resources=frozenset(run["plan"]["resources"]),
    )


def shown_of(plan: Mapping[str, Any]) -> dict[str, object]:
    """What a person says yes to, of a plan as a host tells it."""
    canonical: dict[str, Any] = msgspec.json.decode(plan["canonical"])
    return {key: canonical[key] for key in _SHOWN} | {f"fault.{key}": canonical["fault"][key] for key in _SHOWN_OF_FAULT}


def seen_of(run: Mapping[str, Any]) -> Seen:
    """A phase that only a newer host knows counts as active: what may be in force is undone."""
    known = run["phase"] in _PHASES
    return Seen(
        id=run["id"],
        phase=Phase(run["phase"]) if known else Phase.ACTIVE,
        plan=run["plan"]["id"],
        why=run.get("why", "") if known else f"the host says {run['phase']}, which is not known here",
        approved_by=run.get("approvedBy"),
        injected_at=_time(run.get("injectedAt")),
        ends_at=_time(run.get("endsAt")),
        reverted_at=_time(run.get("revertedAt")),
        measures=tuple(_measure(one) for one in run.get("measures", ())),
        manual=run["plan"]["manual"],
    )


def known_of(item: Mapping[str, Any]) -> Known:
    watches = [selector for selector in (item.get("affects"), item.get("steadyState")) if selector is not None]
    named = any(selector.get("cluster") or selector.get("namespace") for selector in watches)
    return Known(
        fault=item["fault"],
        duration_s=item["durationSeconds"],
        recovery_s=item["recoverySeconds"],
        resources=touched(item["parameters"]),
        groups=frozenset({f"{item['cluster']}/{item['namespace']}"}) if named else frozenset(),
        watched=bool(watches),
        two_person=item["twoPerson"],
    )


def _measure(one: Mapping[str, Any]) -> Measure:
    return Measure(
        group=one["group"],
        probes=one["probes"],
        hurt=one["hurt"],
        samples=one["samples"],
        error_s=one["errorSeconds"],
        detection_s=one.get("detectionSeconds"),
        recovery_s=one.get("recoverySeconds"),
    )


def _summed(group: Mapping[str, Any]) -> Sums:
    results = group["results"]
    return Sums(
        states=group["states"],
        stale=group["stale"],
        runs=group["runs"],
        passed=results.get("ok", 0) + results.get("degraded", 0),
        buckets={float(bound): runs for bound, runs in group.get("buckets", {}).items()},
    )


def _counted(probes: list[dict[str, Any]]) -> Sums:
    states: dict[str, int] = {}
    for probe in probes:
        states[probe["state"]] = states.get(probe["state"], 0) + 1
    passed = sum(probe["runs"].get("ok", 0) + probe["runs"].get("degraded", 0) for probe in probes)
    runs = sum(sum(probe["runs"].values()) for probe in probes)
    return Sums(states=states, stale=sum(probe["stale"] for probe in probes), runs=runs, passed=passed, buckets={})


def _params(probes: Selector) -> list[tuple[str, str | int]]:
    given = [(key, value) for key in ("cluster", "namespace") if (value := getattr(probes, key)) is not None]
    return [*given, *(("label", f"{key}={value}") for key, value in probes.labels)]


def _time(stamp: str | None) -> float | None:
    return None if stamp is None else seconds_of(stamp)


def _path(experiment: str) -> str:
    return f"/chaos/experiments/{quote(experiment, safe='')}"


_: type[Hands] = HttpHands
