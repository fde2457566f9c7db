"""Making probes from a table: the kind it names, the keys that kind knows, one probe for each target."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, cast

import msgspec

from meshkit_fastprobe.config.places import Place, Problems, shown, suggestion
from meshkit_fastprobe.config.shapes import ProbeKeys
from meshkit_fastprobe.config.spec import Kinds, ProbeLike
from meshkit_fastprobe.config.tables import fields_of
from meshkit_fastprobe.errors import ConfigError, ConfigErrors

RESERVED: Final = frozenset(fields_of(ProbeKeys)) - {"target"}
"""What no kind may call a field of its own: these keys mean the same for every kind."""


def kind_of(place: Place, raw: Mapping[str, Any], kinds: Kinds, problems: Problems) -> type[msgspec.Struct] | None:
    """The kind a table names, or None and a problem."""
    name = raw.get("kind")
    if name is None:
        problems.add(place, "kind is missing", f"add kind = ... ({', '.join(kinds)})")
    elif not isinstance(name, str):
        problems.add(place.at("kind"), f"{shown(name)} has the wrong type", "write text")
    elif name in kinds:
        return kinds[name]
    else:
        problems.add(place.at("kind"), f"unknown kind {shown(name)}", suggestion(name, kinds))
    return None


@lru_cache(maxsize=256)
def shape_of(kind: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """All keys of a [[probe]] table of this kind: those of every probe, and the kind's own."""
    own = [field for field in msgspec.structs.fields(kind) if field.name != "target"]
    return msgspec.defstruct(
        f"{kind.__name__}Keys",
        [
            (field.name, field.type)
            if field.required
            else (field.name, field.type | msgspec.UnsetType, msgspec.field(default=msgspec.UNSET))
            for field in own
        ],
        bases=(ProbeKeys,),
        kw_only=True,
        forbid_unknown_fields=True,
        rename={field.name: field.encode_name for field in own},
    )


def make_probe(place: Place, kind: type[msgspec.Struct], own: Mapping[str, Any], target: str, at: Place) -> ProbeLike:
    """The probe of one target, which was written at `at`. ConfigError is told in the words of the file."""
    try:
        return cast("ProbeLike", kind(**own, target=target))
    except ConfigErrors as error:
        raise ConfigErrors([relocated(each, place, kind, at) for each in error.errors]) from None
    except ConfigError as error:
        raise relocated(error, place, kind, at) from None
    except Exception as error:  # noqa: BLE001 - a plug-in's kind may raise anything
        raise ConfigError(
            str(at), f"{kind.__name__} raised {type(error).__name__}: {error}", "correct the values it was given"
        ) from None


def relocated(error: ConfigError, place: Place, kind: type[msgspec.Struct], at: Place) -> ConfigError:
    """A kind names its fields as `Kind.field.part`; a reader of the file wants file, line and key."""
    keys = error.where.removeprefix(f"{kind.__name__}.").split(".")
    if keys == ["target"]:
        return ConfigError(str(at), error.problem, error.fix)
    if keys[0] in fields_of(kind):
        return ConfigError(str(place.at(*keys)), error.problem, error.fix)
    return ConfigError(str(at), f"{error.where}: {error.problem}", error.fix)
