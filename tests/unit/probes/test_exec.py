"""What an exec probe refuses to be. Commands are run in tests/integration."""

from __future__ import annotations

from typing import Any

import pytest

from meshkit_fastprobe.errors import ConfigError
from meshkit_fastprobe.model import Lane
from meshkit_fastprobe.probes.base import AsyncProbe, lane_of
from meshkit_fastprobe.probes.exec import ExecProbe


@pytest.mark.parametrize(
    ("refused", "where", "words"),
    [
        ({"argv": ()}, "ExecProbe.argv", "absolute path"),
        ({"argv": ("ls",)}, "ExecProbe.argv", "absolute path"),
        ({"argv": ("/bin/{target}",)}, "ExecProbe.argv", "must not choose the command"),
        ({"argv": ("/bin/ls",) * 129}, "ExecProbe.argv", "the bound is 128"),
        ({"argv": ("/bin/ls", "a\0b")}, "ExecProbe.argv", "no argument"),
        ({"argv": ("/bin/ls", "{target}"), "target": "--all"}, "ExecProbe.target", "taken for an option"),
        ({"exit_status": "any"}, "ExecProbe.exit_status", "not known"),
        ({"max_output_bytes": -1}, "ExecProbe.max_output_bytes", "0..1048576"),
        ({"cwd": "here"}, "ExecProbe.cwd", "absolute path"),
        ({"env": {"A=B": "c"}}, "ExecProbe.env", "no name"),
        ({"env": {str(number): "" for number in range(65)}}, "ExecProbe.env", "the bound is 64"),
    ],
)
def test_what_cannot_be_run_is_refused(refused: dict[str, Any], where: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        ExecProbe(**{"target": "it", "argv": ("/bin/true",), **refused})
    assert caught.value.where == where


def test_a_value_of_the_environment_is_never_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        ExecProbe("it", ("/bin/true",), env={"A": "secret\0"})
    assert "secret" not in str(caught.value)


def test_it_runs_on_trio() -> None:
    assert lane_of(ExecProbe) is Lane.TASK
    assert isinstance(ExecProbe("it", ("/bin/true",)), AsyncProbe)
