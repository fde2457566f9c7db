"""The words of the product, as types: states, results, reasons, outcomes and the options every probe has.

The numbers are those of `native/include/fastprobe/base.h`; a test holds the two lists together.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final, TypeAlias

import msgspec

from meshkit_fastprobe.access import AuditSettings, SecuritySettings
from meshkit_fastprobe.experiments import ChaosSettings
from meshkit_fastprobe.when import Once, Weekly

Duration: TypeAlias = float | str
"""Seconds, or a string with a unit: "250ms", "5s", "1m", "1h30m"."""


class State(enum.IntEnum):
    """What is believed of a target, after rise and fall have had their say."""

    UNKNOWN = 0
    HEALTHY = 1
    DEGRADED = 2
    UNHEALTHY = 3
    PAUSED = 4


class Result(enum.IntEnum):
    """What one run came to."""

    OK = 0
    DEGRADED = 1
    FAIL = 2
    TIMEOUT = 3
    ERROR = 4


class Reason(enum.IntEnum):
    """Why a result is not OK, or why a run was skipped. `str(reason)` is the stable code."""

    NONE = 0
    CONNECT_REFUSED = 1
    CONNECT_TIMEOUT = 2
    CONNECT_RESET = 3
    CONNECT_UNREACHABLE = 4
    CONNECT_FAILED = 5
    DNS_NXDOMAIN = 10
    DNS_TIMEOUT = 11
    DNS_FAILURE = 12
    DNS_MISMATCH = 13
    DNS_PROTOCOL = 14
    DNS_TTL = 15
    TLS_HANDSHAKE = 20
    TLS_UNTRUSTED = 21
    TLS_HOSTNAME = 22
    TLS_EXPIRED = 23
    TLS_EXPIRING = 24
    TLS_VERSION = 25
    TLS_ALPN = 26
    TLS_CLIENT_CERTIFICATE = 27
    TLS_NOT_YET_VALID = 28
    TLS_FILES = 29
    HTTP_STATUS = 30
    HTTP_PROTOCOL = 31
    HTTP_HEADER_LIMIT = 32
    HTTP_BODY_LIMIT = 33
    HEADER_MISMATCH = 34
    BODY_MISMATCH = 35
    RESPONSE_TIMEOUT = 36
    RESPONSE_CLOSED = 37
    RESPONSE_RESET = 38
    REPLY_MISMATCH = 39
    REPLY_LIMIT = 40
    SLOW = 50
    TIMEOUT = 51
    EXCEPTION = 52
    REPORTED = 53
    UNSUPPORTED = 54
    HTTP_REDIRECT = 60
    HTTP_DOWNGRADE = 61
    GRPC_STATUS = 62
    GRPC_NOT_SERVING = 63
    GRPC_UNKNOWN_SERVICE = 64
    GRPC_PROTOCOL = 65
    STREAM_SILENT = 66
    STREAM_RESUME = 67
    EXEC_STATUS = 70
    EXEC_SIGNAL = 71
    EXEC_FAILED = 72
    EXEC_OUTPUT = 73
    QUORUM = 75
    ICMP_TIMEOUT = 80
    ICMP_EXPIRED = 81
    ICMP_TOO_BIG = 82
    OVERLAP = 100
    SATURATED = 101
    LATE = 102
    DESCRIPTORS = 103
    PORTS = 104
    MEMORY = 105
    SHUTTING_DOWN = 106
    DROPPED = 107
    SOURCE = 108
    PERMISSION = 109
    BUDGET = 110
    DEFERRED = 112
    MEMBERS_UNKNOWN = 113

    def __str__(self) -> str:
        return self.name.lower()


class Lane(enum.IntEnum):
    """Who executes a due probe."""

    NATIVE = 0
    TASK = 1
    THREAD = 2
    PASSIVE = 3


class Phases(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """When a run reached what, in seconds since just before its first packet; None for what it did not come to.

    resolve_s stands apart: names are looked up beside the runs, and only an explained run looks one up for itself.
    """

    resolve_s: float | None = None
    connect_s: float | None = None
    tls_s: float | None = None
    first_byte_s: float | None = None
    total_s: float | None = None


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What a probe found. Return one, return None for a pass, or raise for a failure.

    latency_s overrides what the lane measured around the call: for probes that know better which part was the target's.
    phases and facts (name and value, for people) are shown when the run is explained.
    """

    result: Result = Result.OK
    reason: Reason = Reason.NONE
    message: str = ""
    detail: int = 0
    latency_s: float | None = None
    phases: Phases | None = None
    facts: tuple[tuple[str, str], ...] = ()

    @classmethod
    def ok(cls, message: str = "", *, latency_s: float | None = None) -> Outcome:
        return cls(Result.OK, Reason.NONE, message, 0, latency_s)

    @classmethod
    def degraded(cls, message: str = "", *, reason: Reason = Reason.REPORTED, detail: int = 0) -> Outcome:
        return cls(Result.DEGRADED, reason, message, detail)

    @classmethod
    def fail(cls, message: str = "", *, reason: Reason = Reason.REPORTED, detail: int = 0) -> Outcome:
        return cls(Result.FAIL, reason, message, detail)

    @classmethod
    def error(cls, message: str = "", *, reason: Reason = Reason.EXCEPTION, detail: int = 0) -> Outcome:
        return cls(Result.ERROR, reason, message, detail)


MIN_INTERVAL_S: Final = 0.01
MAX_INTERVAL_S: Final = 30 * 86400.0
MAX_RISE_FALL: Final = 100
MAX_NAME_LENGTH: Final = 256
DEFAULT_INTERVAL_S: Final = 10.0
DEFAULT_TIMEOUT_S: Final = 1.0


class ProbeOptions(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How a probe is run and judged; the same for every kind. Durations in seconds.

    timeout_s is never above interval_s. unhealthy_interval_s None means the same as interval_s. degraded_above_s None means
    off. rise / fall: consecutive results that change the state; the first conclusive result decides the first state alone.
    pending_interval_s: while the last results work towards another state. backoff_s: while unhealthy the interval doubles every
    ten runs, up to this. None of both is off.
    passive_defers_s: after a passing report() no scheduled run for so long, None means that reports change no schedule.
    flap_damping: changes are not announced one by one while they are many.
    """

    interval_s: float = DEFAULT_INTERVAL_S
    timeout_s: float = DEFAULT_TIMEOUT_S
    initial_delay_s: float = 0.0
    jitter_s: float = 0.0
    rise: int = 2
    fall: int = 3
    degraded_above_s: float | None = None
    unhealthy_interval_s: float | None = None
    pending_interval_s: float | None = None
    backoff_s: float | None = None
    passive_defers_s: float | None = None
    depends_on: tuple[str, ...] = ()
    cluster: str = ""
    namespace: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    flap_damping: bool = True
    enabled: bool = True


class Transition(msgspec.Struct, frozen=True, gc=False):
    """A probe changed its state. `at` is wall-clock seconds since the epoch."""

    name: str
    cluster: str
    namespace: str
    kind: str
    before: State
    after: State
    reason: Reason
    message: str
    at: float
    flapping: bool = False
    """The probe has begun to flap: nothing more is told of it until it has come to rest."""


class RunReport(msgspec.Struct, frozen=True, kw_only=True):
    """One run, more closely than a RecentResult. `at`: wall-clock seconds when it began."""

    at: float
    result: Result
    reason: Reason
    detail: int
    message: str
    latency_s: float
    phases: Phases
    round_trip_s: float | None = None
    """The kernel's round trip: of the handshake, or smoothed since."""
    retransmissions: int = 0
    status: int = 0
    """Of HTTP; 0 when none came."""
    connection: str = ""
    """"new", "kept" from the run before, "retried" on a new one because the kept one was dead; "" when there was none."""


class Explanation(RunReport, frozen=True, kw_only=True):
    """One run that was made to be explained."""

    name: str
    kind: str
    lane: Lane
    target: str
    lag_s: float
    addresses: tuple[str, ...] = ()
    """Of the target's name, in the order in which they are tried; empty when the target is an address."""
    local: str = ""
    peer: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    """Of the answer, in its order; the values of cookies are left out."""
    body_bytes: int = 0
    facts: tuple[tuple[str, str], ...] = ()
    """What a kind of the Python lanes has to say besides."""


class TlsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Files in PEM. client_ca: certificates of this authority are identities; client_crl: but not those it has taken back."""

    cert: str
    key: str
    client_ca: str | None = None
    client_crl: str | None = None


class Maintenance(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """While it lasts, probes that meet all that is given here run and count, but their changes are not announced.

    name is a glob. `reason` is for the people who wonder.
    """

    reason: str
    when: Once | Weekly
    name: str | None = None
    cluster: str | None = None
    namespace: str | None = None
    labels: tuple[tuple[str, str], ...] = ()


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the endpoints listen. Without TLS only loopback addresses and unix sockets are accepted.

    hosts: names this host is asked by, beside its address and those of its certificate. per_probe_metrics False leaves the
    per-probe series out of /metrics unless a scrape asks for them (?per_probe=true). http3: on the same port number; None means
    where there is TLS and the extra is installed. aliases: answer at the paths that callers of the original know, too. drain_s:
    how long /readyz says no before nobody new is let in, when the host leaves: for whoever sends it visitors to see that.
    peers: other hosts, by URL, that this one tells of (GET /fleet/hosts, and the page), asked with the token of who asks.
    peers_ca: a file of certificates that theirs are checked with, instead of the system's.
    """

    listen: str = "127.0.0.1:9464"
    prefix: str = "/meshkit/diagnostics/v1"
    tls: TlsSettings | None = None
    hosts: tuple[str, ...] = ()
    max_connections: int = 2048
    per_probe_metrics: bool = True
    http3: bool | None = None
    aliases: bool = False
    drain_s: float = 0.0
    peers: tuple[str, ...] = ()
    peers_ca: str | None = None


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """What a group of probes may use, in all lanes together. None is no bound of its own.

    max_in_flight: runs at once. max_rate: runs started in a second, in the long run. weight: turns in a row where groups
    wait for each other, and shares of what they wait for.
    """

    max_in_flight: int | None = None
    max_rate: float | None = None
    weight: int = 1


class Budgets(msgspec.Struct, frozen=True, kw_only=True):
    """Probes that have the same value of the tag `by` (cluster, namespace, kind, or the key of a label) are a group.

    each: the budget of every group that `groups` does not name.
    """

    by: str = "cluster"
    each: Budget = Budget()
    groups: Mapping[str, Budget] = msgspec.field(default_factory=dict)


class BudgetUse(msgspec.Struct, frozen=True, kw_only=True):
    """What a group makes of its budget: now, and since the start. Skipped runs are those that waited and were not served."""

    group: str
    in_flight: int
    waiting: int
    waited: int
    skipped_saturated: int
    skipped_budget: int


class HistorySettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of the past in the state_dir: minutes for a day, quarters of an hour for keep_s, in at most max_bytes."""

    enabled: bool = True
    keep_s: float = 90 * 86_400.0
    max_bytes: int = 1 << 30


class OtlpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where metrics and log lines are exported to, as OTLP over HTTP; "/v1/metrics" and "/v1/logs" are added to the endpoint.

    per_probe: single probes as well as groups. headers are sent along, and shown to nobody.
    """

    endpoint: str = "http://127.0.0.1:4318"
    interval_s: float = 60.0
    metrics: bool = True
    logs: bool = True
    per_probe: bool = False
    headers: Mapping[str, str] = {}
    ca_file: str | None = None


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How one Diagnostics runs. Every bound of the product that an embedder may move stands here, with its unit in its name.

    server None serves nothing. otlp None exports nothing. chaos None knows no experiments: nothing can be injected.
    state_dir None keeps nothing on disk (the local token in memory only, and no history).
    engine "thread" drives native probes in a thread of their own; "inline" steps the engine inside trio, on trio's clock: for
    tests with a virtual clock. nice is added to that of the process for this thread, on Linux. native_lane False runs the
    native kinds on trio: slower, same answers; so it is anyway where the platform has no epoll. compact_histograms: 214
    bytes less a probe, for quantiles that err by up to 9 % instead of 4.4 %.
    """

    host: str
    cluster: str = ""
    state_dir: str | None = None
    server: ServerSettings | None = None
    security: SecuritySettings = SecuritySettings()
    audit: AuditSettings = AuditSettings()
    history: HistorySettings = HistorySettings()
    otlp: OtlpSettings | None = None
    toggles: Mapping[str, bool | str] = {}
    chaos: ChaosSettings | None = None
    max_probes: int = 1_048_576
    max_connections: int = 4096
    max_task_runs: int = 1024
    max_thread_runs: int = 40
    notify_s: float = 0.005
    dns_ttl_s: float = 30.0
    first_run_window_s: float = 10.0
    window_frame_s: float = 5.0
    engine: str = "thread"
    nice: int = 0
    native_lane: bool = True
    compact_histograms: bool = False
    budgets: Budgets = Budgets()
