"""What can be written as the target of a pause, and what a watchdog obeys. No process is touched."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.chaos.faults.pause import Pause
from meshkit_fastprobe.chaos.watchdog_process import MAX_GUARDS, Guards, obey
from meshkit_fastprobe.errors import ConfigError


@pytest.mark.parametrize("target", ["pid:4711", "pidfile:/run/orders.pid", "child:worker-1"])
def test_every_way_has_one_form(target: str) -> None:
    assert Pause(target=target).target == target


@pytest.mark.parametrize(
    "target",
    [
        "",
        "pid:",
        "pid:0",
        "pid:-1",
        "pid:1\n",
        "pid:1;$(id)",
        "pid:9999999",
        "pid:\u0661",
        "pidfile:x",
        "pidfile:/a\0",
        "child:a b",
    ],
)
def test_anything_else_is_refused(target: str) -> None:
    with pytest.raises(ConfigError, match=r"^Pause.target: "):
        Pause(target=target)


@given(st.lists(st.one_of(st.binary(max_size=64), st.sampled_from([b"guard a 5", b"renew a 9", b"forget a", b"forget b"]))))
def test_a_watchdog_obeys_three_verbs_and_keeps_what_it_was_given_once(messages: list[bytes]) -> None:
    guards: Guards = {}
    for now, message in enumerate(messages):
        given_one = [os.open(os.devnull, os.O_RDONLY)]
        before = set(guards)
        answer = obey(guards, message, given_one, float(now))
        assert answer in {b"ok", b"unknown"}
        assert (answer == b"ok") or set(guards) == before
        assert bool(given_one) != (message.startswith(b"guard ") and answer == b"ok"), "it is in one place"
        for left in given_one:
            os.close(left)
    for _, process in guards.values():
        os.close(process)


def test_leases_are_bounded_and_so_are_guards() -> None:
    guards: Guards = {str(number).encode(): (1.0, -1) for number in range(MAX_GUARDS)}
    assert obey(guards, b"guard more 1000", [-1], 0.0) == b"unknown"
    assert obey(guards, b"renew 0 999999999999", [], 0.0) == b"ok"
    assert guards[b"0"][0] == 60.0
