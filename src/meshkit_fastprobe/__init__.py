"""Health probes and safe chaos for control planes: one registry, one scheduler, one aggregation, one set of endpoints.

Names are imported when first used, so that a program that needs one type does not pay for NumPy and trio.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meshkit_fastprobe.aggregation.groups import Group
    from meshkit_fastprobe.aggregation.snapshot import ProbeView, RecentResult, Snapshot, Totals
    from meshkit_fastprobe.chaos.streams import stream_through
    from meshkit_fastprobe.config.diff import ReloadSummary
    from meshkit_fastprobe.config.spec import Config
    from meshkit_fastprobe.errors import (
        CapacityError,
        ConfigError,
        DuplicateNameError,
        FastprobeError,
        FaultInjectedError,
        MissingExtraError,
        NotRunningError,
        SkippedError,
        UnknownProbeError,
    )
    from meshkit_fastprobe.experiments import Blackout, ChaosSettings, Experiment, ProxySettings, Selector, SteadyState
    from meshkit_fastprobe.loading import load_config
    from meshkit_fastprobe.model import (
        Budget,
        Budgets,
        BudgetUse,
        Explanation,
        HistorySettings,
        Lane,
        Maintenance,
        OtlpSettings,
        Outcome,
        Phases,
        ProbeOptions,
        Reason,
        Result,
        RunReport,
        ServerSettings,
        Settings,
        State,
        Transition,
    )
    from meshkit_fastprobe.probes.dns import DnsProbe
    from meshkit_fastprobe.probes.exec import ExecProbe
    from meshkit_fastprobe.probes.grpc import GrpcProbe
    from meshkit_fastprobe.probes.http import HttpProbe
    from meshkit_fastprobe.probes.http_expect import HttpExpect
    from meshkit_fastprobe.probes.https import HttpsProbe
    from meshkit_fastprobe.probes.icmp import IcmpProbe
    from meshkit_fastprobe.probes.quorum import QuorumProbe
    from meshkit_fastprobe.probes.registry import ProbeRegistry, probe_kind
    from meshkit_fastprobe.probes.tcp import TcpProbe
    from meshkit_fastprobe.probes.tls import TlsProbe
    from meshkit_fastprobe.probes.tls_settings import Tls
    from meshkit_fastprobe.probes.udp import UdpProbe
    from meshkit_fastprobe.probes.via import Via
    from meshkit_fastprobe.probes.watch import WatchProbe
    from meshkit_fastprobe.runtime import Diagnostics
    from meshkit_fastprobe.server.control import ControlEndpoint
    from meshkit_fastprobe.when import Once, Weekly

_HOMES = {
    "aggregation.groups": ("Group",),
    "aggregation.snapshot": ("ProbeView", "RecentResult", "Snapshot", "Totals"),
    "chaos.streams": ("stream_through",),
    "config.diff": ("ReloadSummary",),
    "config.spec": ("Config",),
    "errors": (
        "CapacityError",
        "ConfigError",
        "DuplicateNameError",
        "FastprobeError",
        "FaultInjectedError",
        "MissingExtraError",
        "NotRunningError",
        "SkippedError",
        "UnknownProbeError",
    ),
    "experiments": ("Blackout", "ChaosSettings", "Experiment", "ProxySettings", "Selector", "SteadyState"),
    "model": (
        "Budget",
        "Budgets",
        "BudgetUse",
        "Explanation",
        "HistorySettings",
        "Lane",
        "Maintenance",
        "OtlpSettings",
        "Outcome",
        "Phases",
        "ProbeOptions",
        "Reason",
        "Result",
        "RunReport",
        "ServerSettings",
        "Settings",
        "State",
        "Transition",
    ),
    "probes.dns": ("DnsProbe",),
    "probes.udp": ("UdpProbe",),
    "probes.exec": ("ExecProbe",),
    "probes.grpc": ("GrpcProbe",),
    "probes.http": ("HttpProbe",),
    "probes.http_expect": ("HttpExpect",),
    "probes.https": ("HttpsProbe",),
    "probes.icmp": ("IcmpProbe",),
    "probes.quorum": ("QuorumProbe",),
    "probes.registry": ("ProbeRegistry", "probe_kind"),
    "probes.tcp": ("TcpProbe",),
    "probes.tls": ("TlsProbe",),
    "probes.tls_settings": ("Tls",),
    "probes.via": ("Via",),
    "probes.watch": ("WatchProbe",),
    "loading": ("load_config",),
    "server.control": ("ControlEndpoint",),
    "runtime": ("Diagnostics",),
    "when": ("Once", "Weekly"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__version__ = "0.1.0"
__all__ = [
    "Blackout",
    "Budget",
    "BudgetUse",
    "Budgets",
    "CapacityError",
    "ChaosSettings",
    "Config",
    "ConfigError",
    "ControlEndpoint",
    "Diagnostics",
    "DnsProbe",
    "DuplicateNameError",
    "ExecProbe",
    "Experiment",
    "Explanation",
    "FastprobeError",
    "FaultInjectedError",
    "Group",
    "GrpcProbe",
    "HistorySettings",
    "HttpExpect",
    "HttpProbe",
    "HttpsProbe",
    "IcmpProbe",
    "Lane",
    "Maintenance",
    "MissingExtraError",
    "NotRunningError",
    "Once",
    "OtlpSettings",
    "Outcome",
    "Phases",
    "ProbeOptions",
    "ProbeRegistry",
    "ProbeView",
    "ProxySettings",
    "QuorumProbe",
    "Reason",
    "RecentResult",
    "ReloadSummary",
    "Result",
    "RunReport",
    "Selector",
    "ServerSettings",
    "Settings",
    "SkippedError",
    "Snapshot",
    "State",
    "SteadyState",
    "TcpProbe",
    "Tls",
    "TlsProbe",
    "Totals",
    "Transition",
    "UdpProbe",
    "UnknownProbeError",
    "Via",
    "WatchProbe",
    "Weekly",
    "load_config",
    "probe_kind",
    "stream_through",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
