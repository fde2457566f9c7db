"""What tests of ways have told in a namespace of their own."""

from __future__ import annotations

from typing import Any

from namespace import Host, play

from meshkit_fastprobe.chaos.faults.builtin import builtin_faults
from meshkit_fastprobe.chaos.network import table
from meshkit_fastprobe.chaos.surveying import Survey

HOST = Host()


async def told() -> dict[str, dict[str, Any]]:
    """By kind and way: whether it is available, and the reason."""
    ways = await Survey().ways(builtin_faults, HOST)
    return {kind: {way.name: [way.available, way.reason] for way in ways[kind]} for kind in builtin_faults}


async def tables_after() -> list[str]:
    """What a survey leaves in the kernel."""
    await told()
    return sorted(table.tables())


if __name__ == "__main__":
    play({"told": told, "tables_after": tables_after})
