"""What the engine has asked for and nobody has begun when the runtime stops."""

from __future__ import annotations

import time

import trio

from meshkit_fastprobe import Diagnostics, Settings


async def test_notices_that_wait_while_leaving_are_skipped_and_start_nothing():
    async def check() -> None:
        await trio.lowlevel.checkpoint()

    diag = Diagnostics(Settings(host="h", first_run_window_s=0.01))
    for n in range(300):
        diag.probe(f"probe-{n}", interval=0.01)(check)
    async with diag:
        await trio.sleep(0.05)
        time.sleep(0.05)  # noqa: ASYNC251 - the loop is held up, so that notices pile up in the ring
    assert diag.snapshot().totals.skipped_by_reason["shutting_down"] > 0
    assert diag.table.check() is None
