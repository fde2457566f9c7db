"""Prometheus' file_sd format, from its own documentation and from people who mistype it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.config.file_sd import NO_GROUP, Group, read_groups
from meshkit_fastprobe.config.places import Problems
from meshkit_fastprobe.errors import ConfigError


def _read(text: str, path: str = "t.json") -> list[tuple[object, Group]]:
    problems = Problems()
    found = [(target, group) for target, _, group in read_groups(path, text, problems)]
    problems.refuse()
    return found


def test_targets_share_the_labels_of_their_group() -> None:
    text = '[{"targets": ["a:1", "b:2"], "labels": {"env": "prod", "job": "db"}}, {"targets": ["c:3"]}]'
    group = Group(labels=(("env", "prod"), ("job", "db")))
    assert _read(text) == [("a:1", group), ("b:2", group), ("c:3", NO_GROUP)]


def test_cluster_and_namespace_become_ours_and_hidden_labels_vanish() -> None:
    text = (
        '[{"targets": ["a:1"], "labels": {"cluster": "eu", "namespace": "shop", "__scheme__": "https", "__address__": "b:2"}}]'
    )
    assert _read(text) == [("a:1", Group(cluster="eu", namespace="shop", address="b:2"))]


def test_yaml_says_the_same_as_json() -> None:
    assert _read("- targets: ['a:1']\n  labels: {env: prod}\n", "t.yml") == _read(
        '[{"targets": ["a:1"], "labels": {"env": "prod"}}]'
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "not a list of groups"),
        ("null", "not a list of groups"),
        ("[5]", r"\[0\]: 5 has no list of targets"),
        ('[{"targets": "a:1"}]', "has no list of targets"),
        ('[{"targets": [], "labels": []}]', r"^$"),
        ('[{"targets": [], "labels": [1]}]', "not a map from text to text"),
        ('[{"targets": [], "labels": {"a": null}}]', "not a map from text to text"),
        ('[{"targets": [], "labels": {"a-b": "c"}}]', r"\[0\].labels.a-b: .* is not a label name"),
        ('[{"targets": [], "labels": {"kind": "c"}}]', "is reserved"),
        ('[{"targets": [], "labels": {"cluster": "a\\n"}}]', r"labels.cluster: .* do not print"),
        ('[{"targets": [], "label": {}}]', "unknown key"),
        ("[", "t.json:1: broken JSON"),
    ],
)
def test_mistakes_are_told_with_their_place(text: str, words: str) -> None:
    if words == "^$":
        assert _read(text) == []  # an empty list of labels is how some generators write none
        return
    with pytest.raises(ConfigError, match=words) as caught:
        _read(text)
    assert caught.value.where.startswith("t.json")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["targets", "labels", "a:1"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["targets", "labels", "env", "__x"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(json_values)
def test_any_json_is_read_or_refused(value: Any) -> None:
    text = msgspec.json.encode(value).decode()
    for path in ("t.json", "t.yml"):
        where = path
        try:
            _read(text, path)
        except ConfigError as error:
            where = error.where
        assert where.startswith(path)
