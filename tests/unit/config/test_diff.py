"""A reload changes what differs, and nothing else."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.config.diff import diff
from meshkit_fastprobe.config.spec import ProbeSpec
from meshkit_fastprobe.model import ProbeOptions
from meshkit_fastprobe.probes.tcp import TcpProbe


def _spec(name: str, port: int = 1, interval_s: float = 10.0, source: str = "f.toml:1: probe[0]") -> ProbeSpec:
    return ProbeSpec(name, TcpProbe(f"10.0.0.1:{port}"), ProbeOptions(interval_s=interval_s), source)


def _by_name(*specs: ProbeSpec) -> dict[str, ProbeSpec]:
    return {spec.name: spec for spec in specs}


def test_the_same_specs_differ_in_nothing() -> None:
    assert not diff(_by_name(_spec("a"), _spec("b")), _by_name(_spec("b"), _spec("a")))


def test_a_spec_that_moved_within_its_file_is_the_same() -> None:
    assert not diff(_by_name(_spec("a")), _by_name(_spec("a", source="f.toml:99: probe[7]")))


def test_added_removed_and_changed_are_told_apart() -> None:
    change = diff(
        _by_name(_spec("stays"), _spec("goes"), _spec("moves"), _spec("slows")),
        _by_name(_spec("stays"), _spec("comes"), _spec("moves", port=2), _spec("slows", interval_s=60.0)),
    )
    assert [spec.name for spec in change.added] == ["comes"]
    assert change.removed == ("goes",)
    assert change.changed == (_spec("moves", port=2), _spec("slows", interval_s=60.0))
    assert change.adjusted == {"slows"}
    assert change


specs = st.dictionaries(
    st.sampled_from("abcdef"), st.tuples(st.integers(1, 3), st.sampled_from([1.0, 2.0]))
).map(lambda made: {name: _spec(name, *rest) for name, rest in made.items()})  # fmt: skip


@given(specs, specs)
def test_applying_a_difference_gives_the_new_specs(current: dict[str, ProbeSpec], new: dict[str, ProbeSpec]) -> None:
    change = diff(current, new)
    applied = {name: spec for name, spec in current.items() if name not in change.removed}
    applied |= {spec.name: spec for spec in (*change.added, *change.changed)}
    assert applied == new
    assert not {spec.name for spec in change.added} & current.keys()
    assert change.adjusted <= {spec.name for spec in change.changed}


def test_what_differs_cannot_be_changed() -> None:
    assert msgspec.structs.astuple(diff({}, {})) == ((), (), (), frozenset())
