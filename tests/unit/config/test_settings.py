"""Settings that an embedder writes keep the same bounds as those in a file."""

from __future__ import annotations

from typing import Any

import pytest

from meshkit_fastprobe.config.settings import COUNTS, TIMES_S, check_settings
from meshkit_fastprobe.errors import ConfigError, ConfigErrors
from meshkit_fastprobe.model import ServerSettings, Settings


@pytest.mark.parametrize(
    "listen",
    ["127.0.0.1:9464", "127.0.0.1:0", "[::1]:9464", "localhost:9464", "127.9.9.9:1", "unix:/run/fastprobe.sock", "unix:f.sock"],
)
def test_addresses_that_only_this_host_reaches_are_fine(listen: str) -> None:
    check_settings(Settings(host="a", server=ServerSettings(listen=listen)))


@pytest.mark.parametrize(
    ("listen", "words"),
    [
        ("0.0.0.0:9464", "can be reached from other hosts"),
        ("[::]:9464", "can be reached from other hosts"),
        ("10.0.0.1:9464", "can be reached from other hosts"),
        ("example.org:9464", "can be reached from other hosts"),
        ("127.0.0.1", "has no port"),
        ("127.0.0.1:70000", "0..65535"),
        ("unix:", "path of 1 to 90 bytes"),
        ("unix:/" + "a" * 90, "path of 1 to 90 bytes"),
    ],
)
def test_other_addresses_are_refused(listen: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        check_settings(Settings(host="a", server=ServerSettings(listen=listen)))
    assert caught.value.where == "Settings: server.listen"
    assert caught.value.fix


@pytest.mark.parametrize("key", COUNTS)
def test_counts_keep_their_bounds(key: str) -> None:
    lowest, highest = COUNTS[key]
    for fine in (lowest, highest):
        check_settings(Settings(**_with(key, fine)))
    for wrong in (lowest - 1, highest + 1, lowest + 0.5):
        with pytest.raises(ConfigError, match=rf"Settings: {key}: {wrong} is not in {lowest}..{highest}"):
            check_settings(Settings(**_with(key, wrong)))


@pytest.mark.parametrize("key", TIMES_S)
def test_times_keep_their_bounds(key: str) -> None:
    lowest_s, highest_s = TIMES_S[key]
    for fine in (lowest_s, highest_s):
        check_settings(Settings(**_with(f"{key}_s", fine)))
    for wrong in (-1.0, highest_s + 1, float("nan"), float("inf"), "5ms"):
        with pytest.raises(ConfigError, match=rf"Settings: {key}_s: .* is not within"):
            check_settings(Settings(**_with(f"{key}_s", wrong)))


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"host": ""}, "host"),
        ({"host": "a\n"}, "host"),
        ({"cluster": "\x1b"}, "cluster"),
        ({"state_dir": ""}, "state_dir"),
        ({"engine": "fast"}, "engine"),
        ({"server": ServerSettings(prefix="no-slash")}, "server.prefix"),
        ({"server": ServerSettings(prefix="/a/../b?")}, "server.prefix"),
    ],
)
def test_texts_that_cannot_be_are_refused(wrong: dict[str, Any], where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_settings(Settings(**{"host": "a", **wrong}))
    assert caught.value.where == f"Settings: {where}"


def test_several_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigErrors, match="2 problems"):
        check_settings(Settings(host="", max_probes=0))


def _with(field: str, value: object) -> dict[str, Any]:
    return {"host": "a", field: value}
