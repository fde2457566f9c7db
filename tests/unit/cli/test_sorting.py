from meshkit_fastprobe.cli.sorting import GroupSort, HostSort, ProbeSort, sort_groups, sort_hosts, sort_probes


def probe(name, **more):
    standing = {"state": "healthy", "since": "2027-01-15T07:59:00.000Z", "runs": {"ok": 1}, "skipped": 0}
    return {"name": name, **standing, **more}


def names(items):
    return [item["name"] for item in items]


def test_the_slowest_come_first_timeouts_before_them_and_the_unmeasured_last():
    items = [probe("none"), probe("slow", p99Seconds=0.9), probe("fast", p99Seconds=0.1), probe("out", beyondRange=["p99"])]
    assert names(sort_probes(items, ProbeSort.p99)) == ["out", "slow", "fast", "none"]


def test_the_worst_states_come_first_and_equals_stay_in_order():
    items = [probe("a"), probe("c", state="unhealthy"), probe("b", state="unhealthy"), probe("d", state="degraded")]
    assert names(sort_probes(items, ProbeSort.state)) == ["c", "b", "d", "a"]


def test_what_changed_last_comes_first():
    items = [probe("old"), probe("new", since="2027-01-15T08:59:00.000Z")]
    assert names(sort_probes(items, ProbeSort.since)) == ["new", "old"]


def test_what_fails_most_comes_first_and_what_never_ran_last():
    items = [probe("never"), probe("well", successRatio=1.0), probe("dead", successRatio=0.0)]
    assert names(sort_probes(items, ProbeSort.ok)) == ["dead", "well", "never"]


def test_every_order_takes_every_probe_and_group():
    item = probe("a", states={"unhealthy": 1}, probes=1)
    for by in ProbeSort:
        assert sort_probes([item], by) == [item]
    for by in GroupSort:
        assert sort_groups([item], by) == [item]


def test_hosts_without_an_answer_come_first_but_in_the_order_they_were_asked():
    rows = [{"host": "a", "probes": 1}, {"host": "b", "problem": "connection refused"}, {"host": "c", "probes": 9}]
    assert [row["host"] for row in sort_hosts(rows, HostSort.probes)] == ["b", "c", "a"]
    assert sort_hosts(rows, HostSort.name) == rows
