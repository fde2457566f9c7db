"""A host with one experiment, to which something happens at a chosen step: what tests/feature/test_crash_matrix.py plays."""

from __future__ import annotations

import contextlib
import faulthandler
import json
import logging
import os
import signal
import struct
import sys
import time
from pathlib import Path

import msgspec
import trio

import meshkit_fastprobe as fp
from meshkit_fastprobe.chaos.faults.base import FaultError
from meshkit_fastprobe.chaos.faults.packet_loss import PacketLoss
from meshkit_fastprobe.chaos.network import table
from meshkit_fastprobe.chaos.refused import ChaosRefusedError
from meshkit_fastprobe.chaos.states import FINAL, Phase

STATE_DIR, MARK, PORT, PHASE, EVENT = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5]
TARGET = os.environ.get("CRASH_TARGET", f"127.0.0.1:{PORT}")
DURATION_S = 1.5
ON = ("chaos.enabled", "chaos.packet_loss.enabled")


def say(**told: object) -> None:
    print(json.dumps(told), flush=True)


def switched_on() -> None:
    (STATE_DIR).mkdir(exist_ok=True)
    toggles = {name: {"name": name, "value": True, "version": 1} for name in ON}
    (STATE_DIR / "toggles.json").write_text(json.dumps({"toggles": toggles}))


class Trouble:
    """What happens, once, when the run reaches the phase."""

    def __init__(self, diag: fp.Diagnostics, nursery: trio.Nursery) -> None:
        self.diag = diag
        self.nursery = nursery
        self.allowed = True
        self.happened = False

    def reached(self, phase: str) -> None:
        if phase == PHASE and not self.happened:
            self.happened = True
            say(reached=phase)
            getattr(self, EVENT)()

    def kill(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def stop(self) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)

    def backend(self) -> None:
        """The next step of the fault raises, whichever it is."""
        for name in ("apply", "verify", "renew"):
            setattr(PacketLoss, name, _raises)
        real, left = PacketLoss.revert.__func__, [1]

        async def revert(cls, host, plan):
            if left.pop() if left else 0:
                raise FaultError("the tool failed")
            await real(cls, host, plan)

        PacketLoss.revert = classmethod(revert)

    def disk(self) -> None:
        """The file system has no room left: the state directory lies on one of its own."""
        filler = os.open(STATE_DIR / "filler", os.O_WRONLY | os.O_CREAT)
        with contextlib.suppress(OSError):
            while os.write(filler, bytes(4096)):
                pass
        os.close(filler)

    def error(self) -> None:
        """Reading and writing the databases fails with EIO."""
        preloaded(1)

    def later(self) -> None:
        preloaded(3600)

    def earlier(self) -> None:
        preloaded(-3600)

    def target(self) -> None:
        """Whom the fault is about is killed."""
        os.kill(int(os.environ["CRASH_VICTIM"]), signal.SIGKILL)

    namespace = target
    """The last process of the network namespace in which the target is: it goes, and the link to it."""

    def removed(self) -> None:
        """Somebody else takes the table away."""
        held = table._held.pop(table.PREFIX + MARK, None)
        if held is not None:
            held.netfilter.close()

    def halt(self) -> None:
        self.nursery.start_soon(lambda: self.diag.chaos.halt(subject="user:bob"))

    def off(self) -> None:
        toggles = self.diag.chaos._around._toggles
        for name in ON:
            toggles.keep(msgspec.structs.replace(toggles[name], value=False, version=toggles[name].version + 1))

    def role(self) -> None:
        self.allowed = False


def preloaded(number: int) -> None:
    """Tell clock_and_disk.c, which is preloaded, what to do."""
    before = time.time()
    with Path(os.environ["CRASH_CONTROL"]).open("r+b") as control:
        control.write(struct.pack("=q", number))
    assert number == 1 or abs(time.time() - before) > 3000, "the clock did not jump: nothing is preloaded"


async def _raises(*_: object) -> None:
    raise FaultError("the tool failed")


async def host() -> None:
    switched_on()
    fault = PacketLoss(targets=(TARGET,), ratio=1.0, direction="out")
    experiment = fp.Experiment(id=MARK, fault=fault, duration_s=DURATION_S, recovery_s=1.0)
    settings = fp.Settings(
        host="cp-1",
        state_dir=str(STATE_DIR),
        server=fp.ServerSettings(listen="127.0.0.1:0"),
        chaos=fp.ChaosSettings(experiments=(experiment,), cooldown_s=0.0),
    )
    diag = fp.Diagnostics(settings)
    async with diag, trio.open_nursery() as nursery:
        if PHASE == "restart":
            past = await diag.chaos.journal.past(10)
            # Others are played beside this one, in the same namespace.
            objects = [plan for plan in await PacketLoss.scan(diag.chaos.bench) if plan.mark == MARK]
            say(runs={run.id: str(run.phase) for run in past}, objects=len(objects))
            return
        trouble = Trouble(diag, nursery)
        moved = diag.chaos.moved

        def hooked(run) -> None:
            moved(run)
            trouble.reached(str(run.phase))

        diag.chaos.moved = hooked
        try:
            prepared = await diag.chaos.prepare(MARK, subject="user:anna")
            await diag.chaos.activate(MARK, prepared.token, subject="user:anna", still_allowed=lambda: trouble.allowed)
        except ChaosRefusedError as error:
            say(refused=error.what)
        run = diag.chaos.current(MARK)
        while run is not None and run.phase not in FINAL | {Phase.REVERT_FAILED}:
            await trio.sleep(0.02)
            run = diag.chaos.current(MARK)
        say(ended=None if run is None else str(run.phase), why="" if run is None else run.why)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    faulthandler.enable()
    logging.disable(logging.CRITICAL)
    trio.run(host)
