"""Our audit: whoever acts waits until its record is durable; then the whole chain is verified."""

import tempfile
import time
from pathlib import Path
from typing import Any

import trio

from meshkit_fastprobe.security.audit import Audit
from meshkit_fastprobe.security.audit_chain import Entry, Verdict
from meshkit_fastprobe.security.audit_store import verify

ENTRY = Entry(actor="user:anna", action="probe.run", result="allowed", scope="orders-db", reason="looks slow", ticket="OPS-1")


def run(workload: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        took_s = trio.run(write, Path(folder), workload)
        began_s = time.perf_counter()
        report = verify(Path(folder))
        verified_s = time.perf_counter() - began_s
    assert (report.verdict, report.records) == (Verdict.INTACT, workload["records"])
    return {"durable_per_s": workload["records"] / took_s, "verified_per_s": workload["records"] / verified_s}


async def write(folder: Path, workload: dict[str, Any]) -> float:
    each = workload["records"] // workload["writers"]

    async def act() -> None:
        for _ in range(each):
            await audit.append(ENTRY)

    async with Audit(folder, boot_id="b") as audit:
        began_s = time.perf_counter()
        async with trio.open_nursery() as nursery:
            for _ in range(workload["writers"]):
                nursery.start_soon(act)
        return time.perf_counter() - began_s
