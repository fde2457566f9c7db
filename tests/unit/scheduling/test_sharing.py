"""Who shares a budget with whom, and what the engine is told of it."""

from __future__ import annotations

import trio

from meshkit_fastprobe import Budget, Budgets, Diagnostics, Lane, ProbeOptions, Settings, TcpProbe
from meshkit_fastprobe.probes.catalog import Groups, Registration
from meshkit_fastprobe.scheduling.sharing import MAX_BUDGET_GROUPS, OTHERS, Sharing


def registered(groups: Groups, slot: int, *, cluster: str = "", labels: tuple[tuple[str, str], ...] = ()) -> Registration:
    base = groups.number((cluster, "", "tcp", labels))
    return Registration(f"p{slot}", TcpProbe("10.0.0.1:1"), ProbeOptions(cluster=cluster), Lane.NATIVE, slot, 1, base)


def sharing(known: Groups, /, **budgets) -> Sharing:
    return Sharing(Settings(host="test", budgets=Budgets(**budgets)), known)


def test_probes_with_the_same_value_of_the_tag_share_a_group():
    groups = Groups()
    shared = sharing(groups, by="team")
    numbers = [
        shared.enter(registered(groups, slot, cluster=cluster, labels=(("team", team),)))
        for slot, (cluster, team) in enumerate([("a", "x"), ("b", "x"), ("b", "y")])
    ]
    assert numbers[0] == numbers[1] != numbers[2]
    assert [shared.names[number] for number in numbers] == ["x", "x", "y"]


def test_a_group_that_is_named_has_its_own_budget_and_any_other_has_that_of_each():
    groups = Groups()
    shared = sharing(groups, each=Budget(max_in_flight=7), groups={"a": Budget(max_in_flight=3)})
    of_a, of_b = (shared.enter(registered(groups, slot, cluster=name)) for slot, name in enumerate("ab"))
    assert [shared.budget(number).max_in_flight for number in (of_a, of_b)] == [3, 7]


def test_groups_beyond_the_bound_share_one():
    groups = Groups()
    shared = sharing(groups)
    numbers = [shared.enter(registered(groups, slot, cluster=f"c{slot}")) for slot in range(MAX_BUDGET_GROUPS + 5)]
    assert numbers[-5:] == [0] * 5
    assert shared.names[0] == OTHERS
    assert len(shared.names) == MAX_BUDGET_GROUPS


def test_a_group_is_present_in_a_lane_for_as_long_as_it_has_probes_there():
    groups = Groups()
    shared = sharing(groups)
    one, two = (registered(groups, slot, cluster=name) for slot, name in enumerate("ab"))
    shared.enter(one)
    shared.enter(two)
    assert shared.present[Lane.NATIVE] == 2
    assert shared.present[Lane.TASK] == 0
    shared.leave(one)
    assert shared.present[Lane.NATIVE] == 1


async def test_a_rate_holds_across_lanes_and_what_exceeds_it_is_skipped_as_budget(mock_clock):
    started: list[float] = []

    async def on_trio() -> None:
        started.append(trio.current_time())

    diag = Diagnostics(
        Settings(host="test", engine="inline", budgets=Budgets(groups={"eu-1": Budget(max_rate=10)}), max_probes=100)
    )
    for number in range(40):
        diag.add(on_trio, name=f"p{number}", interval="1s", timeout="500ms", cluster="eu-1")
    diag.add(on_trio, name="other", interval="1s", timeout="500ms", cluster="eu-2")
    async with diag:
        await trio.sleep(30)
        snap = diag.snapshot()
        uses = {use.group: use for use in diag.budgets()}
    assert 28 <= snap["other"].runs["ok"] <= 31
    assert 28 * 10 <= len(started) - snap["other"].runs["ok"] <= 31 * 10
    assert set(snap.totals.skipped_by_reason) == {"budget"}
    assert uses["eu-1"].skipped_budget == snap.totals.skipped
    assert uses["eu-2"].skipped_budget == 0
    assert min(snap[f"p{number}"].runs["ok"] for number in range(40)) >= 5
