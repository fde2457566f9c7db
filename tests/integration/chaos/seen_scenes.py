"""Whole experiments in a namespace: a service, a probe that asks it, and a fault of the kernel between the two."""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trio
from namespace import play

import meshkit_fastprobe as fp
from meshkit_fastprobe.chaos.children import ManagedChild
from meshkit_fastprobe.chaos.faults.packet_delay import PacketDelay
from meshkit_fastprobe.chaos.faults.packet_loss import PacketLoss
from meshkit_fastprobe.chaos.faults.pause import Pause
from meshkit_fastprobe.chaos.faults.restart import Restart
from meshkit_fastprobe.chaos.network import table
from meshkit_fastprobe.chaos.states import FINAL, Phase

PORT = 8080
WEB = [sys.executable, "-m", "http.server", str(PORT), "--bind", "127.0.0.1", "--directory", str(Path(__file__).parent)]
TARGET = (f"127.0.0.1:{PORT}",)
FAULTS: dict[str, Any] = {
    "delay": PacketDelay(targets=TARGET, delay="200ms"),
    "loss": PacketLoss(targets=TARGET, ratio=1.0),
    "pause": Pause(target="child:web"),
    "restart": Restart(target="child:web", grace="1s"),
}
PATIENCE_S = 60.0


async def until(what: Callable[[], bool]) -> None:
    with trio.fail_after(PATIENCE_S):
        while not what():
            await trio.sleep(0.02)


def settings(folder: str, name: str, keys: dict[str, Any]) -> fp.Settings:
    toggles = ("chaos.enabled", f"chaos.{FAULTS[name].kind}.enabled")
    written = {toggle: {"name": toggle, "value": True, "version": 1} for toggle in toggles}
    (Path(folder) / "toggles.json").write_text(json.dumps({"toggles": written}))
    web = fp.Selector(namespace="web")
    experiment = fp.Experiment(
        id=name, fault=FAULTS[name], **{"duration_s": 4.0, "recovery_s": PATIENCE_S, "affects": web, **keys}
    )
    return fp.Settings(
        host="cp-1",
        state_dir=folder,
        server=fp.ServerSettings(listen="127.0.0.1:0"),
        chaos=fp.ChaosSettings(experiments=(experiment,), cooldown_s=0.0, healthy_floor=0.0),
    )


async def seen(name: str, guarded: bool = False) -> dict[str, Any]:
    """Run the experiment; what the probe thought of the service meanwhile, and what the run came to."""
    logging.disable(logging.CRITICAL)
    steady = fp.SteadyState(namespace="web", healthy_ratio=1.0)
    keys = {"steady_state": steady, "duration_s": PATIENCE_S} if guarded else {}
    with tempfile.TemporaryDirectory() as folder:
        async with ManagedChild(WEB) as web:
            diag = fp.Diagnostics(settings(folder, name, keys))
            assert diag.chaos is not None
            diag.chaos.bench.offer("child:web", web)
            probe = fp.HttpProbe(f"http://127.0.0.1:{PORT}/")
            diag.add(
                probe,
                name="web",
                namespace="web",
                interval="1s",
                timeout="900ms",
                degraded_above="200ms",
                rise=1,
                fall=1,
            )
            async with diag:
                return await played(diag, name)


async def played(diag: fp.Diagnostics, name: str) -> dict[str, Any]:
    chaos = diag.chaos
    assert chaos is not None
    states = set()

    def state() -> str:
        return diag.snapshot()["web"].state.name

    await until(lambda: state() == "HEALTHY")
    prepared = await chaos.prepare(name, subject="user:anna")
    await chaos.activate(name, prepared.token, subject="user:anna", still_allowed=lambda: True)

    def over() -> bool:
        run = chaos.current(name)
        assert run is not None
        states.add(state())
        return run.phase in FINAL | {Phase.REVERT_FAILED}

    await until(over)
    run = chaos.current(name)
    assert run is not None
    return {
        "phase": str(run.phase),
        "why": run.why,
        "states": sorted(states),
        "recovered": [measure.recovery_s is not None for measure in run.measures],
        "touched": run.effect.touched if run.effect else None,
        "left": list(table.tables()),
        "now": state(),
    }


if __name__ == "__main__":
    play(globals())
