"""The budget of a fleet: what is refused and in which words, and that it holds however hosts take their turns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import meshkit_fastprobe as fp
from meshkit_fastprobe.chaos.fleet_budget import PeerTold, beyond_budget


def peer(host, in_force=0, problem=""):
    return PeerTold(url=f"https://{host}", host="" if problem else host, in_force=in_force, problem=problem)


def test_within_the_budget_nothing_is_said():
    assert beyond_budget(3, "cp-1", 1, [peer("cp-2", 2), peer("cp-3")]) == []


def test_beyond_it_one_is_told_where_they_are():
    [why] = beyond_budget(2, "cp-1", 1, [peer("cp-2", 2), peer("cp-3")])
    assert why == (
        "3 experiments would be in force in the fleet (cp-1: 1 with this one, cp-2: 2); its bound is 2; wait, or stop one"
    )


def test_whoever_cannot_be_asked_is_named_with_the_reason_however_large_the_budget():
    why_not = beyond_budget(1000, "cp-1", 1, [peer("cp-2", problem="connection refused"), peer("cp-3")])
    assert why_not == ["https://cp-2 cannot be asked how many experiments are in force there: connection refused"]


def test_a_host_that_is_named_as_its_own_peer_is_told_so():
    [why] = beyond_budget(5, "cp-1", 1, [peer("cp-1", 1)])
    assert "has the name of this host" in why


@given(st.integers(2, 5), st.integers(1, 4), st.data())
def test_however_hosts_take_their_turns_no_more_are_let_in_than_the_budget(hosts, budget, data):
    """Each arms itself, then asks every other in any order, then starts or steps back; all turns come in any order."""
    armed, let_in = set(), set()
    turns = {
        host: ["arm", *data.draw(st.permutations([other for other in range(hosts) if other != host])), "judge"]
        for host in range(hosts)
    }
    told = {host: [] for host in range(hosts)}
    while turns:
        host = data.draw(st.sampled_from(sorted(turns)))
        match turns[host].pop(0):
            case "arm":
                armed.add(host)
            case "judge":
                del turns[host]
                if beyond_budget(budget, f"cp-{host}", 1, told[host]):
                    armed.remove(host)
                else:
                    let_in.add(host)
            case other:
                told[host].append(peer(f"cp-{other}", int(other in armed)))
        assert len(let_in) <= budget


def test_a_budget_of_a_fleet_of_one_is_refused_at_the_start():
    chaos = fp.ChaosSettings(max_concurrent_fleet=1)
    with pytest.raises(fp.ConfigError, match=r"max_concurrent_fleet.*no other host is known; name them in \[server\] peers"):
        fp.Diagnostics(fp.Settings(host="cp-1", server=fp.ServerSettings(listen="127.0.0.1:0"), chaos=chaos))


@pytest.mark.parametrize("budget", [0, 1001, 1.5])
def test_a_budget_that_cannot_be_is_refused(budget):
    server = fp.ServerSettings(listen="127.0.0.1:0", peers=("https://cp-2",))
    with pytest.raises(fp.ConfigError, match="max_concurrent_fleet"):
        fp.Diagnostics(fp.Settings(host="cp-1", server=server, chaos=fp.ChaosSettings(max_concurrent_fleet=budget)))
