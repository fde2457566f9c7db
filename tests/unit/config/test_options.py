"""Options as given become options that hold together, and every mistake is told at once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.config.options import OPTION_NAMES, check_text, probe_options
from meshkit_fastprobe.errors import ConfigError, ConfigErrors
from meshkit_fastprobe.model import ProbeOptions


def test_nothing_given_is_the_default() -> None:
    assert probe_options("here") == ProbeOptions()


def test_everything_given_is_kept() -> None:
    options = probe_options(
        "here",
        interval="5s",
        timeout=0.5,
        initial_delay="1m",
        jitter="100ms",
        rise=1,
        fall=4,
        degraded_above="250ms",
        unhealthy_interval="1s",
        depends_on=["a", "b"],
        cluster="eu",
        namespace="shop",
        labels={"b": "2", "a": "1"},
        enabled=False,
    )
    assert options == ProbeOptions(
        interval_s=5.0,
        timeout_s=0.5,
        initial_delay_s=60.0,
        jitter_s=0.1,
        rise=1,
        fall=4,
        degraded_above_s=0.25,
        unhealthy_interval_s=1.0,
        depends_on=("a", "b"),
        cluster="eu",
        namespace="shop",
        labels=(("a", "1"), ("b", "2")),
        enabled=False,
    )


def test_what_is_not_given_comes_from_the_defaults() -> None:
    defaults = ProbeOptions(interval_s=60.0, timeout_s=5.0, namespace="shop", labels=(("env", "prod"), ("tier", "1")))
    options = probe_options("here", defaults, rise=1, labels={"tier": "2"})
    assert (options.interval_s, options.timeout_s, options.namespace, options.rise) == (60.0, 5.0, "shop", 1)
    assert options.labels == (("env", "prod"), ("tier", "2"))


@pytest.mark.parametrize(
    "given", [{"interval": "500ms"}, {"unhealthy_interval": "500ms"}, {"interval": 0.5, "unhealthy_interval": 3}]
)
def test_a_timeout_that_nobody_gave_shrinks_to_the_interval(given: dict[str, Any]) -> None:
    assert probe_options("here", **given).timeout_s == 0.5


def test_a_timeout_that_was_given_never_shrinks() -> None:
    with pytest.raises(ConfigError, match="1s is above the interval of 500ms"):
        probe_options("here", interval="500ms", timeout="1s")


def test_the_same_words_give_the_same_object() -> None:
    assert probe_options("one", interval="7s") is probe_options("two", interval="7s")
    assert probe_options("here", fall=1) is not probe_options("here", rise=1)


def test_true_is_not_taken_for_one() -> None:
    assert probe_options("here", interval=1).interval_s == 1.0
    with pytest.raises(ConfigError, match="true has the wrong type"):
        probe_options("here", interval=True)


def test_one_mistake_is_a_config_error_that_names_the_place() -> None:
    with pytest.raises(ConfigError) as caught:
        probe_options("probe 'pg'", interval="5ms")
    assert not isinstance(caught.value, ConfigErrors)
    assert str(caught.value) == "probe 'pg': interval: \"5ms\" is below the floor of 10ms; raise it or probe fewer targets"


def test_several_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigErrors) as caught:
        probe_options("here", interval="5ms", rise=0, intervall=5, labels={"a b": ""})
    assert sorted(error.where for error in caught.value.errors) == [
        "here: interval",
        "here: intervall",
        'here: labels."a b"',
        "here: rise",
    ]
    assert all(error.where in str(caught.value) for error in caught.value.errors)


@pytest.mark.parametrize("name", sorted(OPTION_NAMES))
def test_no_option_takes_just_anything(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        probe_options("here", **{name: object()})


values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from(["1s", "5s", "10ms", "1h"]),
    st.lists(st.text(max_size=3), max_size=2), st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
)  # fmt: skip


@given(st.dictionaries(st.sampled_from([*sorted(OPTION_NAMES), "other"]), values, max_size=6))
def test_any_values_become_options_that_hold_together_or_are_refused(raw: dict[str, Any]) -> None:
    try:
        options = probe_options("here", **raw)
    except ConfigError:
        return
    assert 0 < options.timeout_s <= options.interval_s
    assert options.jitter_s < options.interval_s
    assert options.degraded_above_s is None or options.degraded_above_s < options.timeout_s


@pytest.mark.parametrize("text", ["a", "x" * 256, "http://10.0.0.1/ä b"])
def test_names_may_be_any_text_that_prints(text: str) -> None:
    assert check_text("here", text) == text


@pytest.mark.parametrize("text", ["", "x" * 257, "a\nb", "\x1b[31m", " a", "a ", "\u202eabc", "\ud800"])
def test_names_that_would_confuse_people_are_refused(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_text("here", text)
    assert str(caught.value).isprintable()
