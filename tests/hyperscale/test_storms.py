"""Thousands of probes added and removed a second, and configurations reloaded, while twenty thousand run."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
import pytest
import trio

import meshkit_fastprobe as fp
from benchmarks.measure import descriptors
from meshkit_fastprobe.loading import load_config
from meshkit_fastprobe.scheduling.pacing import NEVER, runs_due

from .conftest import LONG, Held, addresses, tell

pytestmark = [pytest.mark.hyperscale, pytest.mark.once, pytest.mark.slow, pytest.mark.timeout(3600 if LONG else 300)]

STEADY: Final = 10_000
CONFIGURED: Final = 10_000
EVERY_S: Final = 5.0
AT_ONCE: Final = 200
STORM_S: Final = 120.0 if LONG else 4.5
BREATH_S: Final = 0.05
RELOADS: Final = 12 if LONG else 3

MODES = {
    "engine thread": {},
    "engine in the loop": {"engine": "inline"},
    "task lane": {"native_lane": False},
}


class Storm:
    """Adds and removes by turns, and keeps the names that must be there."""

    def __init__(self, diag: fp.Diagnostics, targets: Iterable[str]) -> None:
        self._diag = diag
        self._random = random.Random(20_260_101)
        self._targets = targets
        self._number = 0
        self.names: list[str] = []
        self.added = 0
        self.removed = 0

    def turn(self) -> None:
        self._add()
        self._random.shuffle(self.names)
        for name in self.names[AT_ONCE:]:
            self._diag.remove(name)
            self.removed += 1
        del self.names[AT_ONCE:]

    def _add(self) -> None:
        """Half at once and half one by one; some paused, some asked for at once by their schedule."""
        for address in islice(self._targets, AT_ONCE // 2):
            enabled = self._random.random() < 0.9
            self.names.append(
                self._diag.add(fp.TcpProbe(address), name=self._name(), interval="1s", timeout="1s", enabled=enabled)
            )
        probes = [fp.TcpProbe(address) for address in islice(self._targets, AT_ONCE // 2)]
        self.names += self._diag.add_many(probes, interval="1s", timeout="1s", namespace=f"storm-{self._number % 7}")
        self.added += AT_ONCE

    def _name(self) -> str:
        self._number += 1
        return f"storm-{self._number}"


def configuration(folder: Path, targets: list[str], turn: int, settings: dict[str, object]) -> fp.Config:
    """Nine in ten probes stay; a tenth changes its target, a tenth its interval, and some come and go."""
    lines = ["[host]", 'name = "scale"', "[engine]", "max_probes = 100000"]
    lines += [f"{key} = {str(value).lower()}" for key, value in settings.items() if key == "native_lane"]
    for number in range(CONFIGURED):
        if number % 10 == turn % 10:
            continue
        target = targets[(number + (turn if number % 10 == 5 else 0)) % len(targets)]
        every_s = EVERY_S + (turn if number % 10 == 7 else 0)
        lines += [
            "[[probe]]",
            f'name = "conf-{number}"',
            'kind = "tcp"',
            f'target = "{target}"',
            f'interval = "{every_s:g}s"',
            'timeout = "1s"',
        ]
    path = folder / "fastprobe.toml"
    path.write_text("\n".join(lines))
    return load_config(path)


def check(diag: fp.Diagnostics, expected: set[str]) -> None:
    """Names, table and engine tell of the same probes, and each is whole."""
    assert set(diag.catalog.by_name) == expected
    assert diag.table.count == len(expected)
    assert diag.table.check() is None
    slots = [one.slot for one in diag.catalog]
    assert len(set(slots)) == len(slots)
    running = diag._running
    assert running is not None
    if not running.engine.running:
        assert running.engine.check() is None


async def known_to_the_engine(diag: fp.Diagnostics) -> None:
    """Commands on their way have arrived: the engine holds as many probes as there are."""
    with trio.fail_after(60):
        while diag.engine_stats()["slots"] != len(diag.catalog):
            await trio.sleep(0.01)


@pytest.mark.parametrize("mode", MODES)
async def test_a_storm_leaves_every_probe_where_it_belongs(mode: str, port: int, tmp_path: Path) -> None:
    settings: dict[str, object] = dict(MODES[mode])
    before = descriptors()
    targets = list(addresses(STEADY, port))
    config = configuration(tmp_path, targets, 0, settings)
    diag = fp.Diagnostics.from_config(_with_engine(config, settings))
    steady = diag.add_many((fp.TcpProbe(target) for target in targets), interval=EVERY_S, timeout="1s", namespace="steady")
    async with diag:
        storm = Storm(diag, islice(addresses(1 << 22, port), STEADY, None))
        reload_s: list[float] = []
        held = Held()
        begun = time.perf_counter()
        for turn in range(RELOADS):
            until = trio.current_time() + STORM_S / RELOADS
            while trio.current_time() < until:
                storm.turn()
                await trio.sleep(BREATH_S)
            config = _with_engine(await trio.to_thread.run_sync(configuration, tmp_path, targets, turn + 1, settings), settings)
            async with trio.open_nursery() as watching:
                watching.start_soon(held.watch)
                reloading = time.perf_counter()
                summary = await diag.reload(config)
                reload_s.append(time.perf_counter() - reloading)
                watching.cancel_scope.cancel()
            assert summary.added == summary.removed == CONFIGURED // 10
            await known_to_the_engine(diag)
            check(diag, {*steady, *config.by_name, *storm.names})
        took_s = time.perf_counter() - begun
        rate = (storm.added + storm.removed) / took_s
        await _no_run_lost_or_doubled(diag, steady)
        running = diag._running
        assert running is not None
        running.stop()
        assert running.engine.check() is None
    assert descriptors() <= before
    tell(
        f"storm, {mode}: {rate:,.0f} adds and removes a second for {took_s:.0f} s over {STEADY + CONFIGURED:,} probes; "
        f"a reload of {CONFIGURED:,} that changes a third: {max(reload_s) * 1000:.0f} ms, in which the event loop was held for "
        f"{held.longest_s * 1000:.0f} ms at most"
    )


def _with_engine(config: fp.Config, settings: dict[str, object]) -> fp.Config:
    """Engine "inline" is for embedders: no file says it."""
    import msgspec

    return msgspec.structs.replace(config, settings=msgspec.structs.replace(config.settings, **settings))


async def _no_run_lost_or_doubled(diag: fp.Diagnostics, steady: list[str]) -> None:
    """What was there all the time has run whenever it was due, and no oftener.

    On a busy machine runs are in flight and notices on their way for a while; what is lost stays lost.
    """
    slots, interval_ns = [diag.catalog[name].slot for name in steady], int(EVERY_S * 1e9)
    due_ns = [diag.catalog[name].due_ns for name in steady]
    with trio.fail_after(60):
        while True:
            runs = diag.table.column("runs")[slots].sum(axis=1, dtype=np.int64) + diag.table.column("skipped")[slots]
            now_ns = diag.now_ns()
            due = np.array([runs_due(one_ns, NEVER, interval_ns, diag.started_ns, now_ns) for one_ns in due_ns])
            assert (runs <= due).all(), "doubled"
            if (runs >= due - 1).all():
                return
            await trio.sleep(0.2)
