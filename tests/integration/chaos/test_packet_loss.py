"""Packet loss by the kernel's packet filter, in namespaces: what is lost, and that nothing outlives whoever made it."""

from __future__ import annotations

import math
import sys

import pytest

from meshkit_fastprobe.chaos.faults.base import LEASE_S
from tests.integration.chaos.namespace import scene

pytestmark = [
    pytest.mark.integration,
    pytest.mark.once,
    pytest.mark.skipif(sys.platform != "linux", reason="nftables is Linux's"),
]

SCENES = "packet_loss_scenes.py"
SLACK_S = 5.0
"""For a loaded machine; what an idle one needs is in docs/faults/packet-loss.md."""


@pytest.mark.parametrize(("direction", "lost"), [("out", "!"), ("in", "x"), ("both", "!x")])
def test_the_share_of_packets_that_was_asked_for_is_lost(direction: str, lost: str) -> None:
    """Two lots are drawn for a datagram and its answer, but only one of them has the target at that end."""
    n, ratio = 4000, 0.3
    told = scene(SCENES, "lose", {"ratio": ratio, "direction": direction}, n)
    missing = sum(told["seen"].count(kind) for kind in lost)
    expected = ratio if direction != "both" else 1 - (1 - ratio) ** 2
    assert abs(missing / n - expected) < 5 * math.sqrt(expected * (1 - expected) / n)
    assert told["touched"] == missing
    assert told["in_force"]
    assert set(told["before"] + told["elsewhere"] + told["after"]) == {"."}
    assert told["gone"]


def test_bursts_are_lost_in_a_row() -> None:
    told = scene(SCENES, "lose", {"ratio": 0.25, "burst": 5}, 1000)
    assert told["seen"] == ("!" * 5 + "." * 15) * 50


@pytest.mark.parametrize("keys", [{"protocol": "tcp"}, {"targets": ["127.0.0.2:9999"]}, {"targets": ["[::1]:9999"]}], ids=str)
def test_what_was_not_named_is_not_hurt(keys: dict[str, object]) -> None:
    told = scene(SCENES, "lose", {"ratio": 1.0, **keys}, 1000)
    assert set(told["seen"]) == {"."}
    assert told["touched"] == 0


def test_a_whole_network_may_be_hurt() -> None:
    told = scene(SCENES, "lose", {"ratio": 1.0, "targets": ["127.0.0.0/30"], "protocol": "udp"}, 1000)
    assert told["seen"] == "!" * 1000


@pytest.mark.parametrize("fork", ["none", "fork", "exec"])
def test_sigkill_of_the_owner_ends_the_loss_at_once_whatever_children_it_has(fork: str) -> None:
    told = scene(SCENES, "killed", fork)
    assert told["during"] == "!" * 20
    assert told["traffic_s"] < LEASE_S / 2, "it did not take the lease"
    assert told["gone_s"] < LEASE_S / 2
    assert told["after"] == "." * 20


def test_a_child_that_kept_the_socket_by_a_bare_fork_keeps_the_table_but_not_the_loss() -> None:
    told = scene(SCENES, "killed", "bare")
    assert told["traffic_s"] < LEASE_S + SLACK_S
    assert told["after"] == "." * 20


def test_a_stopped_owner_loses_its_force_with_the_lease() -> None:
    told = scene(SCENES, "stopped")
    assert told["mark"] == "killed"
    assert told["during"]
    assert told["traffic_s"] < LEASE_S + SLACK_S
    assert not told["after"]
    assert "owner (netlink port" in told["refused"]
    assert told["gone"]


def test_a_lease_that_has_run_out_is_not_renewed() -> None:
    seen, told = scene(SCENES, "late")
    assert seen == "..."
    assert "has run out" in told


def test_tables_of_others_stay_and_one_that_was_left_behind_goes() -> None:
    told = scene(SCENES, "foreign")
    assert told["found"] == ["left-behind"]
    assert told["before"] == told["after"]
    assert "udp dport 9999 meta l4proto @lease numgen random mod 1000000 < 1000000" in told["listed"]
    assert "packet_loss mine of meshkit-fastprobe" in told["listed"]


def test_a_second_experiment_of_the_same_mark_is_refused_and_the_first_is_unharmed() -> None:
    told = scene(SCENES, "twice")
    assert "there is a table meshkit_same already" in told["refused"]
    assert told["during"] == "!!!!!"
    assert told["after"] == "....."


def test_renewals_may_go_on_for_ever() -> None:
    assert scene(SCENES, "renewed", 2000)


def test_without_the_capability_preflight_says_what_would_help() -> None:
    told = scene(SCENES, "forbidden", privileged=False)
    assert not told["usable"]
    assert "CAP_NET_ADMIN" in told["why"]
    assert told["why"] in told["refused"]
    assert told["scan"] == 0


def test_the_way_to_the_control_plane_is_spared_even_when_everything_is_lost() -> None:
    assert scene(SCENES, "spared") == {"control": ".....", "other": "!!!!!"}
