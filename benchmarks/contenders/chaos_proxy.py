"""Ours, between the two."""

from typing import Any

from benchmarks.shared.streaming import delayed, streamed
from meshkit_fastprobe.chaos.lots import Delay
from meshkit_fastprobe.chaos.proxies import Shape
from meshkit_fastprobe.chaos.proxying.streams import TcpProxy
from meshkit_fastprobe.experiments import ProxySettings


def run(workload: dict[str, Any]) -> dict[str, Any]:
    def opened(port: int) -> tuple[int, Any]:
        proxy = TcpProxy(ProxySettings(name="bench", listen="127.0.0.1:0", upstream=f"127.0.0.1:{port}"))
        proxy.open()
        if workload["delay_s"]:
            proxy.put(Shape(delay=Delay(workload["delay_s"]), direction="down"), "bench")
        return int(proxy.address.rpartition(":")[2]), proxy.close

    return delayed(workload, opened) if workload["delay_s"] else streamed(workload, opened)
