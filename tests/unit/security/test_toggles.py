from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.security.toggles import FILE, Declared, ToggleRefusedError, Toggles, VersionMismatchError

DECLARED = [
    Declared("probes.enabled", True, "whether anything is probed"),
    Declared("chaos.enabled", False, "whether experiments may start"),
    Declared("log.level", "info", "what is logged", ("debug", "info")),
]


def change(toggles, name, value, version=None):
    toggle = toggles.changed(name, value, version, by="user:anna", reason="because")
    toggles.keep(toggle)
    return toggle


def test_what_was_changed_outlives_the_host_and_nothing_else_does(tmp_path):
    toggles = Toggles(DECLARED, {}, tmp_path, now_s=lambda: 12.0)
    change(toggles, "chaos.enabled", True)
    again = Toggles(DECLARED, {}, tmp_path)
    assert again["chaos.enabled"] == toggles["chaos.enabled"]
    assert (again["chaos.enabled"].version, again["chaos.enabled"].changed_by, again["chaos.enabled"].changed_at) == (
        1,
        "user:anna",
        12.0,
    )
    assert list(json.loads((tmp_path / FILE).read_bytes())["toggles"]) == ["chaos.enabled"]
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == [FILE]


def test_the_ceiling_of_the_configuration_wins_over_what_was_stored(tmp_path):
    change(Toggles(DECLARED, {}, tmp_path), "chaos.enabled", True)
    below = Toggles(DECLARED, {"chaos.enabled": False}, tmp_path)
    assert below["chaos.enabled"].value is False
    with pytest.raises(ToggleRefusedError, match=r"keeps chaos\.enabled at off"):
        change(below, "chaos.enabled", True)
    assert Toggles(DECLARED, {}, tmp_path)["chaos.enabled"].value is True


def test_switching_off_is_never_above_a_ceiling():
    toggles = Toggles(DECLARED, {"probes.enabled": True, "chaos.enabled": False}, None)
    assert change(toggles, "probes.enabled", False).value is False
    assert change(toggles, "chaos.enabled", False).value is False


def test_a_ceiling_over_words_leaves_no_choice():
    toggles = Toggles(DECLARED, {"log.level": "debug"}, None)
    assert toggles["log.level"].value == "debug"
    with pytest.raises(ToggleRefusedError):
        change(toggles, "log.level", "info")


def test_who_is_late_is_refused():
    toggles = Toggles(DECLARED, {}, None)
    change(toggles, "chaos.enabled", True, 0)
    with pytest.raises(VersionMismatchError, match="version 1, not 0"):
        change(toggles, "chaos.enabled", False, 0)
    one = toggles.changed("chaos.enabled", False, 1, by="a", reason="")
    other = toggles.changed("chaos.enabled", True, 1, by="b", reason="")
    toggles.keep(one)
    with pytest.raises(VersionMismatchError, match="meanwhile"):
        toggles.keep(other)


@pytest.mark.parametrize(
    ("name", "value"), [("chaos.enabled", "true"), ("chaos.enabled", 1), ("log.level", "loud"), ("log.level", True)]
)
def test_values_of_another_type_are_refused(name, value):
    with pytest.raises(ToggleRefusedError, match=f"{name} takes"):
        change(Toggles(DECLARED, {}, None), name, value)


def test_there_are_only_the_declared_ones():
    with pytest.raises(KeyError):
        change(Toggles(DECLARED, {}, None), "coffee.enabled", True)
    with pytest.raises(ConfigError, match=r"toggles\.coffee\.enabled: there is no such toggle"):
        Toggles(DECLARED, {"coffee.enabled": False}, None)


@given(st.binary(max_size=200))
def test_a_file_that_cannot_be_read_stops_the_start(tmp_path_factory, content):
    directory = tmp_path_factory.mktemp("state")
    (directory / FILE).write_bytes(content)
    with pytest.raises(ConfigError, match=r"toggles\.json"):
        Toggles(DECLARED, {}, directory)


def test_a_directory_that_has_gone_leaves_everything_as_it_was(tmp_path):
    directory = tmp_path / "state"
    directory.mkdir()
    toggles = Toggles(DECLARED, {}, directory)
    directory.rmdir()
    with pytest.raises(FileNotFoundError):
        change(toggles, "chaos.enabled", True)
    assert (toggles["chaos.enabled"].value, toggles["chaos.enabled"].version) == (False, 0)


def test_of_many_who_change_it_at_once_one_is_first_and_nothing_else_is_lost(tmp_path):
    """From as many threads as there are switches, each with changes of its own: the disk takes its time, and others come."""
    names = [f"chaos.{number}.enabled" for number in range(8)]
    toggles = Toggles([Declared(name, False, "") for name in names], {}, tmp_path)
    made = [toggles.changed(name, True, 0, by=f"user:{who}", reason="") for name in names for who in range(3)]

    def keep(toggle):
        try:
            toggles.keep(toggle)
        except VersionMismatchError:
            return 0
        return 1

    with ThreadPoolExecutor(len(made)) as pool:
        assert sum(pool.map(keep, made)) == len(names)
    assert [toggle.version for toggle in toggles] == [1] * len(names)
    assert list(Toggles([Declared(name, False, "") for name in names], {}, tmp_path)) == list(toggles)


def test_what_is_held_is_in_force_and_gone_after_a_restart(tmp_path):
    toggles = Toggles(DECLARED, {}, tmp_path)
    change(toggles, "chaos.enabled", True)
    toggles.hold(toggles.changed("chaos.enabled", False, 1, by="user:anna", reason=""))
    assert toggles["chaos.enabled"].value is False
    assert Toggles(DECLARED, {}, tmp_path)["chaos.enabled"].value is True
