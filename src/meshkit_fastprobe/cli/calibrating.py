"""What `fastprobe calibrate` measures: outages of a port of ours that the kernel times, and what real probes say of them."""

from __future__ import annotations

import random
import socket
from typing import Final

import msgspec
import numpy as np
import trio
from numpy.typing import NDArray

from meshkit_fastprobe.chaos.measuring import Observer
from meshkit_fastprobe.chaos.outages import Outage, Way, accept, own_port
from meshkit_fastprobe.experiments import Selector
from meshkit_fastprobe.model import Settings
from meshkit_fastprobe.probes.tcp import TcpProbe
from meshkit_fastprobe.runtime import Diagnostics

WELL_S: Final = 30.0
"""For all probes to be well again after an outage."""


def _spoken(field: str) -> str:
    """A field as JSON names it: interval_s is intervalSeconds."""
    first, *rest = (field.removesuffix("_s") + ("_seconds" if field.endswith("_s") else "")).split("_")
    return first + "".join(word.capitalize() for word in rest)


class Asked(msgspec.Struct, frozen=True, rename=_spoken):
    probes: int
    interval_s: float
    timeout_s: float
    rounds: int
    seed: int


class Spread(msgspec.Struct, frozen=True, rename=_spoken):
    """Of measured less true times, in seconds. error_s: of the mean, at two standard deviations."""

    mean_s: float
    error_s: float
    min_s: float
    p50_s: float
    p90_s: float
    max_s: float
    samples: int


class Bias(msgspec.Struct, frozen=True, rename=_spoken):
    """of_probes: of each probe by itself. of_experiments: of what an experiment tells of a group of these probes.

    within_bound: the share of samples that lie within the bound that experiments give with their figures.
    """

    of_probes: Spread
    of_experiments: Spread
    within_bound: float


class Told(msgspec.Struct, frozen=True, rename=_spoken):
    """unsure_s: how well the kernel's own times are known. bound_s: what experiments give as their error: the period.

    expected_s: of one probe, when an outage comes at any moment of its period: half of it.
    """

    by: str
    why: str
    asked: Asked
    outage_s: float
    unsure_s: float
    bound_s: float
    expected_s: float
    detection: Bias
    recovery: Bias


async def calibrated(asked: Asked, way: Way, why: str) -> Told:
    lasts_s = max(1.0, 4 * asked.interval_s)
    rng = random.Random(asked.seed)  # noqa: S311 - no secret
    detection: list[NDArray[np.float64]] = []
    recovery: list[NDArray[np.float64]] = []
    unsure_s = 0.0
    with own_port() as sock:
        async with _probing(asked, sock) as diag, trio.open_nursery() as nursery:
            nursery.start_soon(accept, sock)
            await _all_well(diag)
            for _ in range(asked.rounds):
                await trio.sleep(rng.uniform(0, asked.interval_s))
                observer, outage = await _played(diag, way, sock, lasts_s)
                first_bad, good_since = observer.seen
                detection.append(first_bad - outage.began)
                recovery.append(good_since - outage.ended)
                unsure_s = max(unsure_s, outage.unsure_s)
            nursery.cancel_scope.cancel()
    bound_s = asked.interval_s
    return Told(
        by=way.name,
        why=why,
        asked=asked,
        outage_s=lasts_s,
        unsure_s=unsure_s,
        bound_s=bound_s,
        expected_s=bound_s / 2,
        detection=_bias(detection, [each.min() for each in detection], bound_s, unsure_s),
        recovery=_bias(recovery, [each.max() for each in recovery], bound_s, unsure_s),
    )


def _probing(asked: Asked, sock: socket.socket) -> Diagnostics:
    """Probes that are spread evenly over their period, as on any host."""
    diag = Diagnostics(Settings(host="calibration"))
    for number in range(asked.probes):
        diag.add(
            TcpProbe("{}:{}".format(*sock.getsockname())),
            name=f"probe-{number}",
            interval=asked.interval_s,
            timeout=asked.timeout_s,
            rise=1,
            fall=1,
        )
    return diag


async def _all_well(diag: Diagnostics) -> None:
    with trio.fail_after(WELL_S):
        while diag.snapshot().totals.ok < len(diag.snapshot().names):  # noqa: ASYNC110 - a run tells nobody
            await trio.sleep(0.05)


async def _played(diag: Diagnostics, way: Way, sock: socket.socket, lasts_s: float) -> tuple[Observer, Outage]:
    """One outage, watched as an experiment would watch it."""
    observer = Observer(Selector())
    observer.look(diag.snapshot(), trio.current_time())  # what ran before is no sample
    observer.injected = trio.current_time()
    outages: list[Outage] = []

    async def play() -> None:
        outages.append(await way(sock, lasts_s))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(play)
        with trio.fail_after(lasts_s + WELL_S):
            while not (outages and observer.recovered and np.isfinite(observer.seen[0]).all()):  # noqa: ASYNC110 - nor here
                await trio.sleep(observer.look(diag.snapshot(), trio.current_time()) / 2)
    return observer, outages[0]


def _bias(probes: list[NDArray[np.float64]], groups: list[float], bound_s: float, unsure_s: float) -> Bias:
    each = np.concatenate(probes)
    within = (each >= -unsure_s) & (each <= bound_s + unsure_s)
    return Bias(_spread(each), _spread(np.array(groups)), float(within.mean()))


def _spread(samples: NDArray[np.float64]) -> Spread:
    p50, p90 = np.quantile(samples, (0.5, 0.9))
    error_s = 2 * samples.std(ddof=1) / np.sqrt(len(samples)) if len(samples) > 1 else np.inf
    return Spread(
        mean_s=float(samples.mean()),
        error_s=float(error_s),
        min_s=float(samples.min()),
        p50_s=float(p50),
        p90_s=float(p90),
        max_s=float(samples.max()),
        samples=len(samples),
    )
