"""What `config show` prints is the configuration: read again, it gives the same probes."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest

from meshkit_fastprobe.chaos.faults.builtin import builtin_faults
from meshkit_fastprobe.config.document import parse_document
from meshkit_fastprobe.config.load import build, load
from meshkit_fastprobe.config.show import REDACTED, effective
from meshkit_fastprobe.config.toml import to_toml
from meshkit_fastprobe.probes.builtin import builtin_kinds

DATA = Path(__file__).parents[2] / "data" / "config"


@pytest.mark.parametrize("path", sorted(DATA.glob("valid-*.toml")), ids=lambda path: path.stem)
def test_what_is_shown_reads_back_as_the_same_configuration(path: Path) -> None:
    config = load(path, builtin_kinds, lambda: builtin_faults)
    again = build(parse_document(str(path), to_toml(effective(config))), builtin_kinds, lambda: builtin_faults)
    assert again.settings == config.settings
    assert again.maintenance == config.maintenance
    assert [msgspec.structs.replace(spec, source="") for spec in again.probes if spec.name != "web"] == [
        msgspec.structs.replace(spec, source="") for spec in config.probes if spec.name != "web"
    ]


def test_secrets_in_headers_are_not_shown() -> None:
    text = to_toml(effective(load(DATA / "valid-everything.toml", builtin_kinds, lambda: builtin_faults)))
    assert "Bearer" not in text
    web = next(probe for probe in tomllib.loads(text)["probe"] if probe["name"] == "web")
    assert web["headers"] == {"authorization": REDACTED, "x-from": "fastprobe"}
    assert web["expect"]["headers"] == {"content-type": "text/", "x-present": ""}


def test_defaults_are_filled_in() -> None:
    shown = effective(load(DATA / "valid-contract.toml", builtin_kinds, lambda: builtin_faults))
    assert shown["engine"]["max_connections"] == 4096
    assert shown["probe"][1]["interval"] == "10s"
    assert shown["probe"][1]["rise"] == 2
    assert shown["server"]["prefix"] == "/meshkit/diagnostics/v1"


def test_probes_can_be_picked_by_name() -> None:
    shown = effective(load(DATA / "valid-contract.toml", builtin_kinds, lambda: builtin_faults), "edge:*")
    assert [probe["name"] for probe in shown["probe"]] == ["edge:10.0.0.1:443", "edge:10.0.0.2:443"]


def test_what_toml_does_not_have_is_refused() -> None:
    with pytest.raises(TypeError, match="TOML has no NoneType"):
        to_toml({"a": None})
