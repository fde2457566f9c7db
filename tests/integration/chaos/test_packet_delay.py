"""Packets held back by a queue of the kernel, in namespaces: never early, and never when nobody is there to let them go."""

from __future__ import annotations

import signal
import sys
from itertools import pairwise

import pytest

from meshkit_fastprobe.chaos.faults.base import LEASE_S
from tests.integration.chaos.namespace import scene

pytestmark = [
    pytest.mark.integration,
    pytest.mark.once,
    pytest.mark.skipif(sys.platform != "linux", reason="nftables is Linux's"),
]

SCENES = "packet_delay_scenes.py"
DELAY_MS = 50
SLACK_S = 5.0
"""For a loaded machine; what an idle one needs is in docs/faults/packet-delay.md."""


@pytest.mark.parametrize(("direction", "ways"), [("in", 1), ("out", 1), ("both", 2)])
def test_packets_come_late_and_never_early(direction: str, ways: int) -> None:
    told = scene(SCENES, "delays", {"direction": direction})
    assert min(told["during"]) >= ways * DELAY_MS
    assert max(*told["before"], *told["elsewhere"], *told["after"]) < min(told["during"])
    assert told["touched"] == ways * 20
    assert told["in_force"]
    assert told["gone"]


def test_a_table_is_found_by_the_kind_that_made_it() -> None:
    assert scene(SCENES, "delays", {})["marks"] == [["delays"], []]


def test_jitter_spreads_delays_around_the_middle() -> None:
    during = scene(SCENES, "delays", {"jitter": "40ms"})["during"]
    assert min(during) >= DELAY_MS - 40
    assert max(during) - min(during) > 10


def test_packets_keep_their_order_whatever_the_jitter() -> None:
    """But for what the lines of the processors make of it, of which loopback has one each."""
    seen = scene(SCENES, "order", 100)["seen"]
    assert sorted(seen) == list(range(100))
    assert sum(later < earlier for earlier, later in pairwise(seen)) < 10


def test_what_is_held_is_let_go_when_the_fault_is_undone() -> None:
    told = scene(SCENES, "let_go", 400)
    assert sorted(told["seen"]) == list(range(400))
    assert told["taken_s"] < 10, "it did not take the delay"


def test_a_stream_comes_through_whole() -> None:
    told = scene(SCENES, "stream")
    assert told["same"]
    assert told["touched"] > 0


def test_sigkill_of_the_owner_ends_it_at_once() -> None:
    told = scene(SCENES, "killed")
    assert min(told["during"]) >= DELAY_MS
    assert told["gone_s"] < LEASE_S / 2, "it did not take the lease"
    assert max(told["after"]) < DELAY_MS


def test_a_stopped_owner_delays_nothing_after_the_lease() -> None:
    assert scene(SCENES, "stopped")["ended_s"] < LEASE_S + SLACK_S


def test_packets_pass_when_nobody_reads_the_queue() -> None:
    told = scene(SCENES, "helpless", signal.SIGKILL)
    assert told["flows_s"] < LEASE_S / 2
    assert "delay has died" in told["told"] or "does not answer" in told["told"]
    assert told["gone"]
    assert max(told["after"]) < DELAY_MS


def test_a_reader_that_hangs_holds_packets_no_longer_than_the_lease() -> None:
    told = scene(SCENES, "helpless", signal.SIGSTOP)
    assert told["flows_s"] < LEASE_S + SLACK_S
    assert "does not answer" in told["told"]
    assert told["gone"]
    assert max(told["after"]) < DELAY_MS


def test_without_the_capability_preflight_says_what_would_help() -> None:
    told = scene(SCENES, "forbidden", privileged=False)
    assert not told["usable"]
    assert "CAP_NET_ADMIN" in told["why"]
