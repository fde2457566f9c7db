"""What every kind of probe must do, whatever it asks: run these before you publish one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec
import trio

from meshkit_fastprobe.aggregation.snapshot import ProbeView
from meshkit_fastprobe.errors import SkippedError
from meshkit_fastprobe.model import Lane, Reason, Result, Settings
from meshkit_fastprobe.probes.base import Probe, is_judged, lane_of, runs_on_trio
from meshkit_fastprobe.probes.registry import ProbeRegistry
from meshkit_fastprobe.runtime import Diagnostics
from meshkit_fastprobe.testing.conformance import must, nothing_left, same_from_file

PATIENCE_S: Final = 30.0
SHORT_S: Final = 0.3
"""The timeout of what never answers."""


async def check_probe(
    good: Probe, *, bad: Probe, hanging: Probe | None = None, beside: Mapping[str, Probe] | None = None, limit: str = "10s"
) -> None:
    """ConformanceError names the first rule that the kind of these three breaks.

    good asks a target that answers well, bad one that does not, hanging one that never answers. beside: probes by name that
    run first, for a kind whose verdict follows from others'. limit: the timeout. Each runs on every lane that the kind has.
    """
    kind = good.kind
    for probe in (good, bad, hanging):
        if isinstance(probe, msgspec.Struct):
            await _describes(probe, kind)
    native = lane_of(type(good)) is Lane.NATIVE
    verdicts: set[Reason] = set()
    for native_lane in [native, False] if native and runs_on_trio(type(good)) else [native]:
        lane = _OnLane(kind, native_lane, beside or {}, limit)
        await lane.passes(good)
        verdicts.add(await lane.fails(bad))
        if hanging is not None:
            await lane.cuts(hanging)
    must(len(verdicts) == 1, kind, f"the lanes differ on what is wrong: {', '.join(sorted(map(str, verdicts)))}")


async def _describes(probe: msgspec.Struct, kind: str) -> None:
    """It says what to ask, and nothing happens by saying so. A callable has no name in a file."""
    if "target" not in {field.name for field in msgspec.structs.fields(probe)}:
        return
    ProbeRegistry().register(type(probe))
    must(isinstance(cast("Any", probe).target, str), kind, "its target is no text")
    async with nothing_left(kind, "making one"):
        same_from_file(probe, kind)


class _OnLane(msgspec.Struct, frozen=True):
    kind: str
    native_lane: bool
    beside: Mapping[str, Probe]
    limit: str

    async def passes(self, probe: Probe) -> None:
        for view in await self._twice(probe, self.limit):
            must(view.result is Result.OK, self.kind, f"good does not pass: {_told(view)}")
            must(view.reason is Reason.NONE, self.kind, f"it passes, and has the reason {view.reason}")
        async with nothing_left(self.kind, "a probe that passes"):
            await self._twice(probe, self.limit)

    async def fails(self, probe: Probe) -> Reason:
        async with nothing_left(self.kind, "a probe that fails"):
            first, second = await self._twice(probe, self.limit)
        for view in (first, second):
            has_reason = view.reason not in {None, Reason.NONE, Reason.EXCEPTION}
            must(view.result is not Result.OK, self.kind, "bad passes")
            must(has_reason, self.kind, f"it fails without a reason of its own: {_told(view)}")
        must(first.reason is second.reason, self.kind, f"it fails as {first.reason}, then as {second.reason}")
        return first.reason or Reason.NONE

    async def cuts(self, probe: Probe) -> None:
        """By its timeout, and by the runtime that ends while it waits."""
        async with nothing_left(self.kind, "a run that was cut"):
            for view in await self._twice(probe, f"{SHORT_S}s"):
                must(view.result is Result.TIMEOUT, self.kind, f"hanging does not end as a timeout: {_told(view)}")
            with trio.move_on_after(PATIENCE_S) as patience:
                await self._leave_it_waiting(probe)
            must(not patience.cancelled_caught, self.kind, "the runtime cannot be left while it waits")

    async def _twice(self, probe: Probe, limit: str) -> tuple[ProbeView, ProbeView]:
        """The second run finds whatever the first has kept."""
        diag = self._diagnostics(probe, limit)
        with trio.move_on_after(PATIENCE_S) as patience:
            async with diag:
                try:
                    for name in self.beside:
                        await diag.run_once(name)
                    views = await diag.run_once("it"), await diag.run_once("it")
                except SkippedError as skipped:
                    must(False, self.kind, f"a run was skipped as {skipped.reason}: this host cannot ask")
        must(not patience.cancelled_caught, self.kind, f"two runs took more than {PATIENCE_S:g} s")
        runs = sum(views[1].runs.values())  # of what is judged, another as soon as a member had a state
        exact = not is_judged(type(probe))
        must(runs == len(views) if exact else runs >= len(views), self.kind, f"two runs are counted as {views[1].runs}")
        return views

    async def _leave_it_waiting(self, probe: Probe) -> None:
        diag = self._diagnostics(probe, "1h")

        async def run() -> None:
            await diag.run_once("it")

        async with diag, trio.open_nursery() as nursery:
            nursery.start_soon(run)
            await trio.sleep(SHORT_S)
            nursery.cancel_scope.cancel()

    def _diagnostics(self, probe: Probe, limit: str) -> Diagnostics:
        settings = Settings(host="conformance", max_probes=64, max_connections=64, native_lane=self.native_lane)
        diag = Diagnostics(settings)
        for name, each in {**self.beside, "it": probe}.items():
            diag.add(each, name=name, interval="1h", initial_delay="1h", timeout=limit)
        return diag


def _told(view: ProbeView) -> str:
    result = "nothing" if view.result is None else view.result.name.lower()
    return f"{result}, {view.reason}{f', {view.message}' if view.message else ''}"
