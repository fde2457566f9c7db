"""What tests of this host's own firewall have happen in a namespace of their own."""

from __future__ import annotations

import trio

import meshkit_fastprobe as fp
from tests.integration.chaos.namespace import nft, play


async def nothing_goes_out(*targets: str) -> list[list[str]]:
    """Lane and end of a run of udp and one of dns against each target; the native lane's first."""
    nft("add table inet kept; add chain inet kept out { type filter hook output priority 0; policy drop; }")
    probes = [probe for target in targets for probe in (fp.UdpProbe(target, "x"), fp.DnsProbe(target, "example.org"))]
    told = []
    for native_lane in (True, False):
        diag = fp.Diagnostics(fp.Settings(host="kept", native_lane=native_lane))
        for number, probe in enumerate(probes):
            diag.add(probe, name=str(number), interval="1h", initial_delay="1h", timeout="5s")
        async with diag:
            for number in range(len(probes)):
                lane = diag.view(str(number)).lane.name
                try:
                    with trio.fail_after(20):
                        told.append([lane, str((await diag.run_once(str(number))).reason)])
                except fp.SkippedError as skipped:
                    told.append([lane, f"skipped: {skipped.reason}"])
    return told


if __name__ == "__main__":
    play(globals())
