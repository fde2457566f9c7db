"""A reload changes what differs, and nothing else."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.config.diff import ReloadDiff, by_name, diff
from meshkit_fastprobe.config.spec import ProbeSpec
from meshkit_fastprobe.model import ProbeOptions
from meshkit_fastprobe.probes.tcp import TcpProbe
from meshkit_fastprobe.turns import AT_ONCE, finish


def _spec(name: str, port: int = 1, interval_s: float = 10.0, source: str = "f.toml:1: probe[0]") -> ProbeSpec:
    return ProbeSpec(name, TcpProbe(f"10.0.0.1:{port}"), ProbeOptions(interval_s=interval_s), source)


def _by_name(*specs: ProbeSpec) -> dict[str, ProbeSpec]:
    return {spec.name: spec for spec in specs}


def _diff(current: dict[str, ProbeSpec], new: dict[str, ProbeSpec]) -> ReloadDiff:
    return finish(diff(current, new, current))


def test_the_same_specs_differ_in_nothing() -> None:
    assert not _diff(_by_name(_spec("a"), _spec("b")), _by_name(_spec("b"), _spec("a")))


def test_a_spec_that_moved_within_its_file_is_the_same() -> None:
    assert not _diff(_by_name(_spec("a")), _by_name(_spec("a", source="f.toml:99: probe[7]")))


def test_added_removed_and_changed_are_told_apart() -> None:
    change = _diff(
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
    change = _diff(current, new)
    applied = {name: spec for name, spec in current.items() if name not in change.removed}
    applied |= {spec.name: spec for spec in (*change.added, *change.changed)}
    assert applied == new
    assert not {spec.name for spec in change.added} & current.keys()
    assert change.adjusted <= {spec.name for spec in change.changed}


def test_what_differs_cannot_be_changed() -> None:
    assert msgspec.structs.astuple(_diff({}, {})) == ((), (), (), frozenset())


def test_one_that_was_removed_meanwhile_is_added_if_it_is_wanted_and_else_is_none_to_remove() -> None:
    current = _by_name(_spec("wanted"), _spec("unwanted"), _spec("stays"))
    change = finish(diff(current, _by_name(_spec("wanted"), _spec("stays")), {"stays"}))
    assert (change.added, change.removed, change.changed) == ((_spec("wanted"),), (), ())


def test_many_are_compared_a_little_at_a_time() -> None:
    specs = [_spec(str(number)) for number in range(10 * AT_ONCE)]
    assert finish(by_name(specs)) == _by_name(*specs)
    assert sum(1 for _ in by_name(specs)) == 10
    assert sum(1 for _ in diff(_by_name(*specs), {}, _by_name(*specs))) == 10
