"""The JSON Schema of configuration files, for editors, made from the types that the loader reads with."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from meshkit_fastprobe.config.chaos import fault_shape
from meshkit_fastprobe.config.chaos_shapes import ChaosKeys
from meshkit_fastprobe.config.discovery import WAYS
from meshkit_fastprobe.config.file_shape import FileKeys
from meshkit_fastprobe.config.kinds import shape_of
from meshkit_fastprobe.config.spec import Faults, Kinds

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def config_schema(kinds: Kinds, faults: Faults) -> dict[str, Any]:
    """Of a file whose probes and faults are of these kinds. What depends on two keys at once is checked by the loader only."""
    shapes = {name: shape_of(kinds[name]) for name in kinds}
    injected = {name: fault_shape(faults[name]) for name in faults}
    every = [FileKeys, *shapes.values(), *injected.values()]
    [file, *_], parts = msgspec.json.schema_components(every, ref_template="#/$defs/{name}")
    for name, shape in shapes.items():
        table = parts[shape.__name__]
        table["title"] = f"[[probe]] of kind {name}"
        table["description"] = (kinds[name].__doc__ or "").strip().partition("\n")[0]
        table["properties"]["kind"] = {"const": name, "description": "What is asked of the target."}
        table["oneOf"] = [{"required": [way]} for way in WAYS]
    parts[FileKeys.__name__]["properties"]["probe"] = {
        "description": "Probes, one or several to a table.",
        "type": "array",
        "items": {"oneOf": [{"$ref": f"#/$defs/{shape.__name__}"} for shape in shapes.values()]},
    }
    for name, shape in injected.items():
        table = parts[shape.__name__]
        table["title"] = f"[[chaos.experiment]] of fault {name}"
        table["description"] = (faults[name].__doc__ or "").strip().partition("\n")[0]
        table["properties"]["fault"] = {"const": name, "description": "What is done."}
    parts[ChaosKeys.__name__]["properties"]["experiment"] = {
        "description": "Experiments, each with one fault.",
        "type": "array",
        "items": {"oneOf": [{"$ref": f"#/$defs/{shape.__name__}"} for shape in injected.values()]},
    }
    return {"$schema": DIALECT, "title": "fastprobe configuration", **file, "$defs": parts}
