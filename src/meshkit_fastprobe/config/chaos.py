"""[chaos]: experiments, what they are judged by, and how far they may go; and the bounds that every ChaosSettings keeps."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, TypeVar, cast

import msgspec

from meshkit_fastprobe.config.addresses import is_loopback, split_host_port
from meshkit_fastprobe.config.chaos_shapes import (
    MAX_BLACKOUTS,
    MAX_CONCURRENT,
    MAX_EXPERIMENTS,
    MAX_PROTECTED,
    MAX_PROXIES,
    MAX_RESTARTS,
    PROXIED,
    BlackoutKeys,
    ChaosKeys,
    ExperimentKeys,
    ProxyKeys,
    SelectorKeys,
    SteadyStateKeys,
)
from meshkit_fastprobe.config.durations import format_duration, parse_duration
from meshkit_fastprobe.config.kinds import relocated
from meshkit_fastprobe.config.maintenance import check_when, read_when
from meshkit_fastprobe.config.options import check_labels, check_text
from meshkit_fastprobe.config.places import Place, Problems, shown, suggestion
from meshkit_fastprobe.config.plugins import load_plugins
from meshkit_fastprobe.config.spec import Faults
from meshkit_fastprobe.config.tables import read_table
from meshkit_fastprobe.errors import ConfigError, ConfigErrors
from meshkit_fastprobe.experiments import (
    ID_PATTERN,
    MAX_CONFIRM_S,
    MAX_COOLDOWN_S,
    MAX_DURATION_S,
    Blackout,
    ChaosSettings,
    Experiment,
    FaultLike,
    ProxySettings,
    Selector,
    SteadyState,
)

S = TypeVar("S", bound=Selector)
At = Callable[[str], Place]
"""Where a field of Settings was written."""

MIN_DURATION_S: Final = 0.1
MAX_RECOVERY_S: Final = 3600.0
TIMES_S: Final = {
    "max_duration": (MIN_DURATION_S, MAX_DURATION_S),
    "cooldown": (0.0, MAX_COOLDOWN_S),
    "confirm": (1.0, MAX_CONFIRM_S),
}
"""Keys of [chaos] in seconds; the field of ChaosSettings has _s at its end."""
COUNTS: Final = {
    "max_concurrent": (1, MAX_CONCURRENT),
    "max_concurrent_per_group": (1, MAX_CONCURRENT),
    "max_concurrent_fleet": (1, MAX_CONCURRENT),
    "max_restarts_per_hour": (0, MAX_RESTARTS),
}

_id = re.compile(ID_PATTERN)
_SELECTORS: Final = {"steady_state": (SteadyState, SteadyStateKeys), "affects": (Selector, SelectorKeys)}


def read_chaos(place: Place, raw: object, faults: Faults, problems: Problems) -> ChaosSettings:
    """The table of a file."""
    if not isinstance(raw, Mapping):
        problems.add(place, f"{shown(raw)} is not a table", "write [chaos] and its keys below")
        return ChaosSettings()
    lists = {key: read_tables(place.at(key), raw[key], problems) for key in ("experiment", "blackout", "proxy") if key in raw}
    read = read_table(place, {key: value for key, value in raw.items() if key not in lists}, ChaosKeys, problems)
    read.pop("plugins", None)
    for key in TIMES_S.keys() & read.keys():
        try:
            read[f"{key}_s"] = parse_duration(place.at(key), read.pop(key))
        except ConfigError as error:
            problems.take(error)
    read["experiments"] = read_each(place.at("experiment"), lists.get("experiment", []), read_experiment, problems, faults)
    read["blackouts"] = read_each(place.at("blackout"), lists.get("blackout", []), _blackout, problems)
    read["proxies"] = read_each(place.at("proxy"), lists.get("proxy", []), _proxy, problems)
    return ChaosSettings(**read)


def load_fault_plugins(place: Place, raw: object, faults: Faults, problems: Problems) -> None:
    """What [chaos] plugins name adds to `faults`; a list that is none is told by `read_chaos`."""
    named = raw.get("plugins", ()) if isinstance(raw, Mapping) else ()
    if isinstance(named, list) and all(isinstance(entry, str) for entry in named):
        load_plugins(place.at("plugins"), tuple(named), faults, problems)


def read_experiment(place: Place, raw: Mapping[str, Any], problems: Problems, faults: Faults) -> Experiment | None:
    """One table, of a file or of a request."""
    before = len(problems)
    name = raw.get("fault")
    if not isinstance(name, str) or name not in faults:
        what = "fault is missing" if name is None else f"unknown fault {shown(name)}"
        problems.add(place if name is None else place.at("fault"), what, suggestion(str(name), faults))
        return None
    kind = faults[name]
    read = read_table(place, raw, fault_shape(kind), problems)
    own = {key: read.pop(key) for key in {field.name for field in msgspec.structs.fields(kind)} & read.keys()}
    given: dict[str, Any] = {key: read[key] for key in ("id", "two_person", "says") if key in read}
    for key in {"duration", "recovery"} & read.keys():
        try:
            given[f"{key}_s"] = parse_duration(place.at(key), read[key])
        except ConfigError as error:
            problems.take(error)
    for key, (selector, shape) in _SELECTORS.items():
        if key in raw:
            given[key] = read_selector(place.at(key), raw[key], selector, shape, problems)
    if len(problems) > before:
        return None
    try:
        return Experiment(**given, fault=cast("FaultLike", kind(**own)))
    except ConfigErrors as error:
        problems.take(ConfigErrors([relocated(each, place, kind, place) for each in error.errors]))
    except ConfigError as error:
        problems.take(relocated(error, place, kind, place))
    except Exception as error:  # noqa: BLE001 - a plug-in's kind may raise anything
        problems.add(place, f"{kind.__name__} raised {type(error).__name__}: {error}", "correct the values it was given")
    return None


@lru_cache(maxsize=256)
def fault_shape(kind: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """All keys of a [[chaos.experiment]] table of this fault: those of every experiment, and the fault's own."""
    own = msgspec.structs.fields(kind)
    return msgspec.defstruct(
        f"{kind.__name__}ExperimentKeys",
        [
            (field.name, field.type)
            if field.required
            else (field.name, field.type | msgspec.UnsetType, msgspec.field(default=msgspec.UNSET))
            for field in own
        ],
        bases=(ExperimentKeys,),
        kw_only=True,
        forbid_unknown_fields=True,
        rename={field.name: field.encode_name for field in own},
    )


def check_chaos(chaos: ChaosSettings, at: At, problems: Problems) -> None:
    """Refuse what cannot be."""
    for key, (lowest_s, highest_s) in TIMES_S.items():
        check_time(at(f"chaos.{key}_s"), getattr(chaos, f"{key}_s"), lowest_s, highest_s, problems)
    for key, (lowest, highest) in COUNTS.items():
        count = getattr(chaos, key)
        if key == "max_concurrent_fleet" and count is None:
            continue
        if not isinstance(count, int) or not lowest <= count <= highest:
            problems.add(
                at(f"chaos.{key}"), f"{shown(count)} is not in {lowest}..{highest}", "choose a whole number between them"
            )
    check_share(at("chaos.healthy_floor"), chaos.healthy_floor, problems)
    for key, most in (
        ("experiments", MAX_EXPERIMENTS),
        ("blackouts", MAX_BLACKOUTS),
        ("proxies", MAX_PROXIES),
        ("protected", MAX_PROTECTED),
    ):
        if len(getattr(chaos, key)) > most:
            problems.add(at(f"chaos.{key}"), f"more than {most}, which is the bound", "remove those that are not needed")
    for index, blackout in enumerate(chaos.blackouts):
        check_when(blackout.when, at("chaos.blackout").at(index).at, problems)
    _check_names(at("chaos.proxy"), [proxy.name for proxy in chaos.proxies], "a proxy", problems)
    for index, proxy in enumerate(chaos.proxies):
        _check_proxy(at("chaos.proxy").at(index), proxy, problems)
    _check_names(at("chaos.experiment"), [experiment.id for experiment in chaos.experiments], "an experiment", problems)
    for index, experiment in enumerate(chaos.experiments):
        check_experiment(experiment, at("chaos.experiment").at(index), chaos, problems)


def check_experiment(experiment: Experiment, place: Place, chaos: ChaosSettings, problems: Problems) -> None:
    """Refuse what cannot be of one, within the bounds of its host."""
    if not _id.fullmatch(experiment.id):
        problems.add(place.at("id"), f"{shown(experiment.id)} is not an id", "write 1 to 48 small letters, digits and dashes")
    check_time(place.at("duration"), experiment.duration_s, MIN_DURATION_S, chaos.max_duration_s, problems)
    check_time(place.at("recovery"), experiment.recovery_s, 0.0, MAX_RECOVERY_S, problems)
    if experiment.steady_state is not None:
        check_share(place.at("steady_state", "healthy_ratio"), experiment.steady_state.healthy_ratio, problems)
    for key in _SELECTORS:
        selector = getattr(experiment, key)
        if selector is not None:
            try:
                check_labels(place.at(key, "labels"), dict(selector.labels))
            except ConfigError as error:
                problems.take(error)


def read_selector(place: Place, raw: object, selector: type[S], shape: type[msgspec.Struct], problems: Problems) -> S:
    """Which probes, from a table in line."""
    read = read_table(place, raw, shape, problems)
    return selector(**{**read, "labels": tuple(sorted(read.get("labels", {}).items()))})


def _blackout(place: Place, raw: Mapping[str, Any], problems: Problems) -> Blackout | None:
    before = len(problems)
    read = read_table(place, raw, BlackoutKeys, problems)
    if len(problems) > before:
        return None
    try:
        return Blackout(reason=check_text(place.at("reason"), read["reason"]), when=read_when(place, read))
    except ConfigError as error:
        problems.take(error)
        return None


def _proxy(place: Place, raw: Mapping[str, Any], problems: Problems) -> ProxySettings | None:
    before = len(problems)
    read = read_table(place, raw, ProxyKeys, problems)
    return ProxySettings(**read) if len(problems) == before else None


def _check_proxy(place: Place, proxy: ProxySettings, problems: Problems) -> None:
    if proxy.protocol not in PROXIED:
        problems.add(place.at("protocol"), f"{shown(proxy.protocol)} does not pass", f"use {', '.join(PROXIED)}")
    for key in ("listen", "upstream"):
        try:
            host, _ = split_host_port(str(place.at(key)), getattr(proxy, key), lowest_port=int(key == "upstream"))
        except ConfigError as error:
            problems.take(error)
            continue
        if key == "listen" and not is_loopback(host):
            problems.add(place.at(key), f"{shown(host)} can be reached from other hosts", "listen on 127.0.0.1 or [::1]")


def _check_names(place: Place, names: list[str], what: str, problems: Problems) -> None:
    for index, name in enumerate(names):
        if name in names[:index]:
            problems.add(place.at(index), f"{shown(name)} is the name of {what} already", "choose another")


def check_time(place: Place, seconds: float, lowest_s: float, highest_s: float, problems: Problems) -> None:
    """Refuse what is no time between these."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not lowest_s <= seconds <= highest_s:
        text = format_duration(seconds) if isinstance(seconds, int | float) else shown(seconds)
        bounds = f"{format_duration(lowest_s)} and {format_duration(highest_s)}"
        problems.add(place, f"{text} is not within {bounds}", "choose a time between them")


def check_share(place: Place, share: float, problems: Problems) -> None:
    """Refuse what is not from 0 to 1."""
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        problems.add(place, f"{shown(share)} is not a share", "choose a number from 0 to 1")


def read_tables(place: Place, raw: object, problems: Problems) -> list[Any]:
    """The list that [[these]] tables make."""
    if isinstance(raw, list):
        return raw
    problems.add(
        place, f"{shown(raw)} is not a list of tables", f"write [[{'.'.join(map(str, place.path))}]], with two brackets"
    )
    return []


def read_each(place: Place, raw: list[Any], read: Callable[..., Any], problems: Problems, *more: Any) -> tuple[Any, ...]:
    """What `read` makes of each table, without those that cannot be."""
    found = []
    for index, table in enumerate(raw):
        if isinstance(table, Mapping):
            found.append(read(place.at(index), table, problems, *more))
        else:
            problems.add(place.at(index), f"{shown(table)} is not a table", "write its keys below")
    return tuple(one for one in found if one is not None)
