"""The tables of a configuration file, as types: what keys there are, what they hold, and what the JSON Schema says of them.

Bounds stand here for the schema only (`extra_json_schema` is not enforced by msgspec); the messages of `options` and `settings`
enforce them in words. A test holds the two together by trying every invalid example against both.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from msgspec import UNSET, Meta, Struct, UnsetType

from meshkit_fastprobe.access import ROLES, Permission
from meshkit_fastprobe.config.shape_parts import Days, LastsEachTime, Span, at_of_day, bounded, lasting, words
from meshkit_fastprobe.model import MAX_NAME_LENGTH, MAX_RISE_FALL

LABEL_KEY_PATTERN: Final = "^[a-zA-Z_][a-zA-Z0-9_]*$"
MAX_LABELS: Final = 32
MAX_TARGET_LENGTH: Final = 2048
PLUGIN_PATTERN: Final = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$"
PREFIX_PATTERN: Final = "^(/[A-Za-z0-9._~-]+)+$"
MAX_LABEL_KEY_LENGTH: Final = 64
MAX_LABEL_VALUE_LENGTH: Final = 128
MAX_DEPENDENCIES: Final = 16
MAX_NAMED_BUDGETS: Final = 1000
MAX_IN_FLIGHT: Final = 1_000_000
MIN_RATE: Final = 0.001
MAX_RATE: Final = 1_000_000
MAX_WEIGHT: Final = 1000
MAX_COPIES: Final = 4
MIN_RECORDS: Final = 1000
MAX_RECORDS: Final = 1_000_000_000
MIN_HISTORY_BYTES: Final = 1 << 22
MAX_HISTORY_BYTES: Final = 1 << 40
MAX_OTLP_HEADERS: Final = 16
MAX_OTLP_HEADER: Final = 4096
MAX_BINDINGS: Final = 100_000
MIN_REQUEST_RATE: Final = 0.1
MAX_REQUEST_RATE: Final = 1_000_000
MAX_SERVER_NAMES: Final = 64
MAX_PEERS: Final = 256

MAX_MAINTENANCE: Final = 1000

_FILE: Final = {"minLength": 1}
_UNIQUE: Final = {"uniqueItems": True}
_DEPENDS_ON: Final = {"maxItems": MAX_DEPENDENCIES, "uniqueItems": True}
LABELS: Final = {
    "maxProperties": MAX_LABELS,
    "propertyNames": {"pattern": LABEL_KEY_PATTERN, "maxLength": MAX_LABEL_KEY_LENGTH},
}
_LabelValue = Annotated[str, Meta(extra_json_schema={"maxLength": MAX_LABEL_VALUE_LENGTH})]


class DefaultKeys(Struct, kw_only=True, forbid_unknown_fields=True):
    """[defaults]: how every probe is run and judged that does not say it itself."""

    interval: Annotated[Span, lasting("Time between two runs, 10ms to 30d.")] | UnsetType = UNSET
    timeout: Annotated[Span, lasting("Time one run may take, 1ms up to interval.")] | UnsetType = UNSET
    initial_delay: Annotated[Span, lasting("Wait this long after the start before the first run.")] | UnsetType = UNSET
    jitter: Annotated[Span, lasting("Each run is late by a random time up to this, which is below interval.")] | UnsetType = (
        UNSET
    )
    rise: Annotated[int, bounded("Consecutive good results that make a probe healthy.", 1, MAX_RISE_FALL)] | UnsetType = UNSET
    fall: Annotated[int, bounded("Consecutive bad results that make a probe unhealthy.", 1, MAX_RISE_FALL)] | UnsetType = UNSET
    degraded_above: Annotated[Span, lasting("A pass slower than this is degraded; below timeout.")] | UnsetType = UNSET
    unhealthy_interval: Annotated[Span, lasting("Interval while unhealthy, 10ms to 30d.")] | UnsetType = UNSET
    pending_interval: (
        Annotated[Span, lasting("Interval while results work towards another state, 10ms to interval.")] | UnsetType
    ) = UNSET
    backoff: (
        Annotated[Span, lasting("While unhealthy the interval doubles every ten runs, up to this; up to 30d.")] | UnsetType
    ) = UNSET
    passive_defers: (
        Annotated[Span, lasting("After a real call that passed, no run is due for so long; 10ms to 30d.")] | UnsetType
    ) = UNSET
    cluster: Annotated[str, words("Where the target runs; by default that of [host].")] | UnsetType = UNSET
    namespace: Annotated[str, words("Whose target it is.")] | UnsetType = UNSET
    labels: (
        Annotated[
            dict[str, _LabelValue], Meta(description="Tags of your own, to group and to filter by.", extra_json_schema=LABELS)
        ]
        | UnsetType
    ) = UNSET
    flap_damping: (
        Annotated[bool, Meta(description="false announces every change of state, however many there are.")] | UnsetType
    ) = UNSET
    enabled: Annotated[bool, Meta(description="false registers the probe paused.")] | UnsetType = UNSET


class OptionKeys(DefaultKeys, kw_only=True, forbid_unknown_fields=True):
    """The options of one probe, the same for every kind."""

    depends_on: (
        Annotated[
            tuple[str, ...],
            Meta(description="Names of probes without which this one cannot pass.", extra_json_schema=_DEPENDS_ON),
        ]
        | UnsetType
    ) = UNSET


class ProbeKeys(OptionKeys, kw_only=True, forbid_unknown_fields=True):
    """[[probe]]: what every kind has beside its own keys. Exactly one of target, targets, targets_file and file_sd."""

    kind: Annotated[str, Meta(description="What is asked of the target.")]
    name: Annotated[str, words("Unique; with several targets each is named name:target.", least=1)] | UnsetType = UNSET
    target: (
        Annotated[str, Meta(description="What to probe.", extra_json_schema={"minLength": 1, "maxLength": MAX_TARGET_LENGTH})]
        | UnsetType
    ) = UNSET
    targets: (
        Annotated[tuple[str, ...], Meta(description="Several targets, one probe each.", extra_json_schema={"minItems": 1})]
        | UnsetType
    ) = UNSET
    targets_file: Annotated[str, Meta(description="A file with a target per line; # starts a comment.")] | UnsetType = UNSET
    file_sd: (
        Annotated[
            str | tuple[str, ...],
            Meta(description="Files of Prometheus file_sd format, JSON or YAML; the last part may hold *."),
        ]
        | UnsetType
    ) = UNSET
    target_format: (
        Annotated[str, Meta(description='Makes the target to probe from one of a list, as in "http://{target}/healthz".')]
        | UnsetType
    ) = UNSET
    refresh: Annotated[Span, lasting("How often targets_file and file_sd are looked at, 1s to 1d.")] | UnsetType = UNSET


class HostKeys(Struct, kw_only=True, forbid_unknown_fields=True):
    """[host]: who probes."""

    name: Annotated[str, words("Name of this host; by default what the operating system says.", least=1)] | UnsetType = UNSET
    cluster: Annotated[str, words("Cluster of this host, and of probes that name none.")] | UnsetType = UNSET
    state_dir: (
        Annotated[
            str,
            Meta(
                description="Directory for what must survive a restart; made when missing.", extra_json_schema={"minLength": 1}
            ),
        ]
        | UnsetType
    ) = UNSET


class ServerTlsKeys(Struct, kw_only=True, forbid_unknown_fields=True):
    """Files in PEM."""

    cert: Annotated[str, Meta(description="Our certificate, and those between it and the root.", extra_json_schema=_FILE)]
    key: Annotated[str, Meta(description="Its private key.", extra_json_schema=_FILE)]
    client_ca: (
        Annotated[str, Meta(description="Certificates of this authority are identities.", extra_json_schema=_FILE)] | UnsetType
    ) = UNSET
    client_crl: (
        Annotated[str, Meta(description="But not those that it has taken back; needs client_ca.", extra_json_schema=_FILE)]
        | UnsetType
    ) = UNSET


class ServerKeys(Struct, kw_only=True, forbid_unknown_fields=True):
    """[server]: endpoints. Without this table nothing is served."""

    listen: (
        Annotated[str, Meta(description="host:port, on a loopback address when there is no tls; or unix:/path.")] | UnsetType
    ) = UNSET
    tls: ServerTlsKeys | UnsetType = UNSET
    hosts: (
        Annotated[
            tuple[Annotated[str, words("A name without port.", least=1)], ...],
            Meta(
                description="Names this host is asked by, beside its address and those of its certificate.",
                extra_json_schema={"maxItems": MAX_SERVER_NAMES},
            ),
        ]
        | UnsetType
    ) = UNSET
    max_connections: Annotated[int, bounded("Connections of visitors at once.", 1, 100_000)] | UnsetType = UNSET
    prefix: (
        Annotated[str, Meta(description="Path before the API's resources.", extra_json_schema={"pattern": PREFIX_PATTERN})]
        | UnsetType
    ) = UNSET
    per_probe_metrics: Annotated[bool, Meta(description="Whether /metrics holds a series for each probe.")] | UnsetType = UNSET
    http3: (
        Annotated[bool, Meta(description="HTTP/3 on the same port; by default where there is tls and the extra.")] | UnsetType
    ) = UNSET
    aliases: Annotated[bool, Meta(description="Whether paths of the original are answered, too.")] | UnsetType = UNSET
    drain: Annotated[Span, lasting("When it leaves: how long /readyz says no before it goes; up to 5m.")] | UnsetType = UNSET
    peers: (
        Annotated[
            tuple[Annotated[str, words("https://host:port; http:// on a loopback address.", least=1)], ...],
            Meta(description="Other hosts that this one tells of.", extra_json_schema={"maxItems": MAX_PEERS}),
        ]
        | UnsetType
    ) = UNSET
    peers_ca: (
        Annotated[
            str, Meta(description="What their certificates are checked with; without it the system's.", extra_json_schema=_FILE)
        ]
        | UnsetType
    ) = UNSET


_Glob = Annotated[str, words("A glob of the values it holds for.", least=1)]


class BindingKeys(Struct, kw_only=True, forbid_unknown_fields=True):
    """[[security.binding]]: gives somebody a role, or single permissions, where all of these globs match."""

    subject: Annotated[
        str,
        Meta(
            description='Whom: "user:NAME" (globs allowed), "group:NAME", or "local", the user the host runs as.',
            extra_json_schema={"pattern": "^((user|group):.+|local)$"},
        ),
    ]
    role: Annotated[str, Meta(description="A bundle of permissions.", extra_json_schema={"enum": [*ROLES]})] | UnsetType = UNSET
    permissions: (
        Annotated[
            tuple[Annotated[str, Meta(extra_json_schema={"enum": [*map(str, Permission)]})], ...],
            Meta(description="Single ones."),
        ]
        | UnsetType
    ) = UNSET
    deny: Annotated[bool, Meta(description="true takes them away; that beats whatever gives them.")] | UnsetType = UNSET
    host: _Glob | UnsetType = UNSET
    cluster: _Glob | UnsetType = UNSET
    namespace: _Glob | UnsetType = UNSET
    probe: _Glob | UnsetType = UNSET
    fault: _Glob | UnsetType = UNSET


class TokenKeys(Struct, kw_only=True, forbid_unknown_fields=True):
    """[security.tokens]: whose bearer tokens are taken (JWT, signed with EdDSA, ES256 or RS256)."""

    jwks_file: Annotated[
        str, Meta(description="The issuer's public keys; read again when it changes.", extra_json_schema=_FILE)
    ]
    issuer: Annotated[str, Meta(description="What iss has to say.", extra_json_schema=_FILE)]
    audience: Annotated[str, Meta(description="What aud has to say or contain.", extra_json_schema=_FILE)]
    groups_claim: Annotated[str, Meta(description="Claim that lists the groups.", extra_json_schema=_FILE)] | UnsetType = UNSET


class AuditKeys(Struct, kw_only=True, forbid_unknown_fields=True):
    """[audit]: how long records are kept here, and where else each of them is told. Without it: for ever, and nowhere."""

    keep: Annotated[Span, lasting("Older records are dropped, 1h to 100 years.")] | UnsetType = UNSET
    max_records: Annotated[int, bounded("As many are kept, and some thousands more.", MIN_RECORDS, MAX_RECORDS)] | UnsetType = (
        UNSET
    )
    copy_to: (
        Annotated[
            tuple[Annotated[str, words("file:/path, syslog:/dev/log or syslog:udp:HOST:PORT.", least=1)], ...],
            Meta(description="Where else each record is told.", extra_json_schema={"maxItems": MAX_COPIES}),
        ]
        | UnsetType
    ) = UNSET
    copy_needed: Annotated[bool, Meta(description="true: no copy, no harm.")] | UnsetType = UNSET


class HistoryKeys(Struct, kw_only=True, forbid_unknown_fields=True):
    """[history]: what is kept of the past in the state_dir. Without it: as its defaults say, where there is a state_dir."""

    enabled: Annotated[bool, Meta(description="false keeps nothing.")] | UnsetType = UNSET
    keep: (
        Annotated[Span, lasting("How long quarters of an hour are kept, 1d to 400d; minutes are kept for a day.")] | UnsetType
    ) = UNSET
    max_bytes: (
        Annotated[int, bounded("The file is no larger; the oldest days go first.", MIN_HISTORY_BYTES, MAX_HISTORY_BYTES)]
        | UnsetType
    ) = UNSET


class OtlpKeys(Struct, kw_only=True, forbid_unknown_fields=True):
    """[telemetry.otlp]: metrics and log lines for a collector of OpenTelemetry, as OTLP over HTTP. Without it: none."""

    endpoint: Annotated[str, words("As http://127.0.0.1:4318; /v1/metrics and /v1/logs are added.", least=1)] | UnsetType = (
        UNSET
    )
    interval: Annotated[Span, lasting("How often metrics are told, 1s to 1h.")] | UnsetType = UNSET
    metrics: Annotated[bool, Meta(description="false exports no metrics.")] | UnsetType = UNSET
    logs: Annotated[bool, Meta(description="false exports no log lines.")] | UnsetType = UNSET
    per_probe: Annotated[bool, Meta(description="true exports single probes too, at most 10,000.")] | UnsetType = UNSET
    headers: (
        Annotated[
            dict[str, Annotated[str, Meta(extra_json_schema={"maxLength": MAX_OTLP_HEADER})]],
            Meta(description="Sent along.", extra_json_schema={"maxProperties": MAX_OTLP_HEADERS}),
        ]
        | UnsetType
    ) = UNSET
    ca_file: Annotated[str, Meta(description="Authorities for https, PEM.", extra_json_schema=_FILE)] | UnsetType = UNSET


class TelemetryKeys(Struct, kw_only=True, forbid_unknown_fields=True):
    """[telemetry]: what is told elsewhere without being asked for."""

    otlp: OtlpKeys | UnsetType = UNSET


class SecurityKeys(Struct, kw_only=True, forbid_unknown_fields=True):
    """[security]: who may ask for what. Without it: the host's own user, everything; everybody else, nothing."""

    tokens: TokenKeys | UnsetType = UNSET
    local_role: (
        Annotated[
            str,
            Meta(
                description='Of whoever reads the local token or is this user on the unix socket; "" is none.',
                extra_json_schema={"enum": ["", *ROLES]},
            ),
        ]
        | UnsetType
    ) = UNSET
    max_rate: (
        Annotated[
            float,
            Meta(
                description="Requests a second of one principal.",
                extra_json_schema={"minimum": MIN_REQUEST_RATE, "maximum": MAX_REQUEST_RATE},
            ),
        ]
        | UnsetType
    ) = UNSET
    binding: (
        Annotated[tuple[BindingKeys, ...], Meta(description="Who may do what.", extra_json_schema={"maxItems": MAX_BINDINGS})]
        | UnsetType
    ) = UNSET


class EngineKeys(Struct, kw_only=True, forbid_unknown_fields=True):
    """[engine]: bounds."""

    max_probes: Annotated[int, bounded("Probes there may be.", 1, 16_777_216)] | UnsetType = UNSET
    max_connections: Annotated[int, bounded("Connections the native lane holds at once.", 1, 1_000_000)] | UnsetType = UNSET
    max_task_runs: Annotated[int, bounded("Async callables that run at once.", 1, 100_000)] | UnsetType = UNSET
    max_thread_runs: Annotated[int, bounded("Plain functions that run at once, a thread each.", 1, 1000)] | UnsetType = UNSET
    notify: (
        Annotated[
            Span,
            lasting(
                "Results are gathered this long before they are handed on, passing as before twenty times as long; up to 1s."
            ),
        ]
        | UnsetType
    ) = UNSET
    dns_ttl: Annotated[Span, lasting("Addresses of target names are looked up again after this, 1s to 1d.")] | UnsetType = UNSET
    first_run_window: Annotated[Span, lasting("A probe's first run comes within this, up to 1d.")] | UnsetType = UNSET
    nice: (
        Annotated[int, bounded("How much nicer to others the engine's thread is than its process (Linux).", 0, 19)] | UnsetType
    ) = UNSET
    native_lane: Annotated[bool, Meta(description="false runs native kinds on trio: slower, same answers.")] | UnsetType = UNSET
    compact_histograms: (
        Annotated[
            bool, Meta(description="true keeps latencies in half the memory: 214 bytes less a probe, quantiles within 9 %.")
        ]
        | UnsetType
    ) = UNSET
    window_frame: Annotated[Span, lasting("How finely windows of the past are kept, 100ms to 1m.")] | UnsetType = UNSET


class BudgetKeys(Struct, kw_only=True, forbid_unknown_fields=True):
    """What a group of probes may use, in all lanes together."""

    max_in_flight: Annotated[int, bounded("Runs at once.", 1, MAX_IN_FLIGHT)] | UnsetType = UNSET
    max_rate: (
        Annotated[
            float,
            Meta(
                description="Runs started in a second, in the long run.",
                extra_json_schema={"minimum": MIN_RATE, "maximum": MAX_RATE},
            ),
        ]
        | UnsetType
    ) = UNSET
    weight: (
        Annotated[int, bounded("Turns in a row, and shares, where groups wait for each other.", 1, MAX_WEIGHT)] | UnsetType
    ) = UNSET


class BudgetsKeys(Struct, kw_only=True, forbid_unknown_fields=True):
    """[budgets]: how groups of probes share this host."""

    by: (
        Annotated[
            str,
            Meta(
                description="The tag whose values make the groups: cluster, namespace, kind, or the key of a label.",
                extra_json_schema={"pattern": LABEL_KEY_PATTERN, "maxLength": MAX_LABEL_KEY_LENGTH},
            ),
        ]
        | UnsetType
    ) = UNSET
    each: BudgetKeys | UnsetType = UNSET
    groups: (
        Annotated[
            dict[Annotated[str, Meta(extra_json_schema={"maxLength": MAX_NAME_LENGTH})], BudgetKeys],
            Meta(
                description="Budgets of single groups, by the value of the tag.",
                extra_json_schema={"maxProperties": MAX_NAMED_BUDGETS},
            ),
        ]
        | UnsetType
    ) = UNSET


class MaintenanceKeys(Struct, kw_only=True, forbid_unknown_fields=True):
    """[[maintenance]]: when changes of which probes are not announced. Either start and end, or days, at and duration."""

    reason: Annotated[str, words("Why, for the people who wonder.", least=1)]
    start: Annotated[datetime, Meta(description="When it begins, once.")] | UnsetType = UNSET
    end: Annotated[datetime, Meta(description="When it ends, once; at most 90 days after start.")] | UnsetType = UNSET
    days: Days | UnsetType = UNSET
    at: Annotated[str, at_of_day("When it begins on each of these days: 02:00.")] | UnsetType = UNSET
    duration: LastsEachTime | UnsetType = UNSET
    time_zone: (
        Annotated[str, words('Of times that do not say it themselves, as "Europe/Berlin"; by default UTC.', least=1)]
        | UnsetType
    ) = UNSET
    name: Annotated[str, words("Probes whose name matches this pattern (* ? [...]).", least=1)] | UnsetType = UNSET
    cluster: Annotated[str, words("Probes of this cluster.")] | UnsetType = UNSET
    namespace: Annotated[str, words("Probes of this namespace.")] | UnsetType = UNSET
    labels: (
        Annotated[dict[str, _LabelValue], Meta(description="Probes with all of these tags.", extra_json_schema=LABELS)]
        | UnsetType
    ) = UNSET
