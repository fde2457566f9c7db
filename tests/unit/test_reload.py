"""A reload is done a little at a time, and comes to what it would have come to in one go: all of it, or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

import meshkit_fastprobe as fp
from meshkit_fastprobe.config.spec import ProbeSpec
from meshkit_fastprobe.model import ProbeOptions
from meshkit_fastprobe.scheduling import reloading
from meshkit_fastprobe.scheduling.reloading import CHANGED_AT_ONCE, Reload
from meshkit_fastprobe.turns import AT_ONCE

MANY = 20_000


def spec(name: str, port: int = 1, interval_s: float = 3600.0, **options: object) -> ProbeSpec:
    return ProbeSpec(
        name,
        fp.TcpProbe(f"127.0.0.1:{port}"),
        ProbeOptions(interval_s=interval_s, initial_delay_s=3600.0, **options),
        "a.toml:1: probe[0]",
    )


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> fp.Config:
    path = tmp_path_factory.mktemp("reload") / "a.toml"
    path.write_text('[host]\nname = "test"\n')
    return fp.load_config(path)


def config(empty: fp.Config, specs: Iterable[ProbeSpec], max_probes: int = MANY, **others: object) -> fp.Config:
    """Of an engine that is stepped in the loop: no file says that."""
    changed = msgspec.structs.replace(empty.settings, engine="inline", max_probes=max_probes, **others)
    return msgspec.structs.replace(empty, settings=changed, probes=tuple(specs))


def found(diag: fp.Diagnostics) -> dict[str, tuple[str, float]]:
    return {one.name: (one.target, one.options.interval_s) for one in diag.catalog}


def asked(specs: Iterable[ProbeSpec]) -> dict[str, tuple[str, float]]:
    return {one.name: (one.probe.target, one.options.interval_s) for one in specs}


async def check(diag: fp.Diagnostics) -> None:
    """Catalog, table and engine tell of the same probes, and nothing is kept any more."""
    assert diag.catalog.kept is None
    assert diag.table.check() is None
    assert diag.table.count == len(diag.catalog) == len({one.slot for one in diag.catalog})
    assert all(diag.catalog.at(one.slot) is one for one in diag.catalog)
    assert set(diag.catalog.depends_on) == {one.name for one in diag.catalog if one.options.depends_on}
    if diag.running:
        with trio.fail_after(30):
            while diag.engine_stats()["slots"] != len(diag.catalog):
                await trio.sleep(0.001)


class Watcher:
    """Another task of the host: how many turns it has, and how much was done between two of them."""

    def __init__(self, diag: fp.Diagnostics) -> None:
        self._diag = diag
        self.turns = 0
        self.most_changes = 0

    async def watch(self) -> None:
        while True:
            before = self._diag.catalog.version
            await trio.lowlevel.checkpoint()
            self.turns += 1
            self.most_changes = max(self.most_changes, self._diag.catalog.version - before)


@pytest.mark.parametrize("running", [True, False], ids=["running", "at rest"])
async def test_no_turn_of_a_reload_changes_more_than_a_few_probes(empty: fp.Config, running: bool) -> None:
    before = [spec(str(number)) for number in range(MANY // 2)]
    after = [spec(str(number), port=2 + number % 2, interval_s=60.0 + number % 3) for number in range(MANY // 4)]
    after += [spec(str(number), interval_s=7200.0) for number in range(MANY // 4, MANY // 2)]
    sets = [before, after, [*after, *(spec(f"new {number}") for number in range(MANY // 2))], []]
    diag = fp.Diagnostics.from_config(config(empty, ()))
    async with trio.open_nursery() as nursery:
        if running:
            await nursery.start(_enter, diag)
        for specs in sets:
            changes = len(diag.catalog) + len(specs)
            watcher = Watcher(diag)
            async with trio.open_nursery() as watching:
                watching.start_soon(watcher.watch)
                await diag.reload(config(empty, specs))
                watching.cancel_scope.cancel()
            assert found(diag) == asked(specs)
            # One that is replaced changes twice; and who is last in one round and first in the next has two turns in a row.
            assert 0 < watcher.most_changes <= 4 * CHANGED_AT_ONCE
            assert watcher.turns >= changes / 2 / CHANGED_AT_ONCE
            await check(diag)
        nursery.cancel_scope.cancel()


async def _enter(diag: fp.Diagnostics, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    async with diag:
        task_status.started()
        await trio.sleep_forever()


async def test_a_reload_that_changes_nothing_gives_the_loop_back_as_well(empty: fp.Config) -> None:
    chain = [spec(str(number), depends_on=(str(number + 1),)) for number in range(MANY - 1)]
    diag = fp.Diagnostics.from_config(config(empty, chain))
    before, watcher = list(diag.catalog), Watcher(diag)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watcher.watch)
        summary = await diag.reload(config(empty, chain))
        nursery.cancel_scope.cancel()
    assert (summary.untouched, summary.changed) == (len(chain), 0)
    assert watcher.turns >= 4 * MANY // AT_ONCE
    assert list(diag.catalog) == before


# -- the same set as in one go -------------------------------------------------------------------------------------------------

NAMES = "abcdefgh"
sets = st.dictionaries(st.sampled_from(NAMES), st.tuples(st.integers(1, 2), st.sampled_from([60.0, 120.0]))).map(
    lambda made: [spec(name, *rest) for name, rest in made.items()]
)
acts = st.lists(st.tuples(st.sampled_from(["add", "remove", "pause", "wait"]), st.sampled_from([*NAMES, "mine"])), max_size=30)


@given(before=sets, after=sets, by_code=st.sets(st.sampled_from([*NAMES, "mine"])), acts=acts, running=st.booleans())
@settings(max_examples=150)
def test_a_reload_in_turns_gives_the_set_of_one_in_one_go(
    empty: fp.Config,
    before: list[ProbeSpec],
    after: list[ProbeSpec],
    by_code: set[str],
    acts: list[tuple[str, str]],
    running: bool,
) -> None:
    """Whatever others do between its turns: what somebody has done to a name last is what holds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reloading, "CHANGED_AT_ONCE", 1)
        trio.run(_model, empty, before, after, by_code, acts, running)


async def _model(
    empty: fp.Config,
    before: list[ProbeSpec],
    after: list[ProbeSpec],
    by_code: set[str],
    acts: list[tuple[str, str]],
    running: bool,
) -> None:
    diag = fp.Diagnostics.from_config(config(empty, before, max_probes=40))
    for name in by_code - {one.name for one in before}:
        _add(diag, name)
    was, acted = found(diag), {}
    async with trio.open_nursery() as nursery:
        if running:
            await nursery.start(_enter, diag)
        refused = False
        with Reload(diag._roster, before, after) as reload:
            left = iter(acts)
            try:
                for turns in (reload.settle(), reload.apply()):
                    for _ in turns:
                        _act(diag, *next(left, ("wait", "")), acted)
            except fp.DuplicateNameError:
                refused = True
        taken = {one.name for one in after} & (was.keys() - {one.name for one in before})
        meant = was if refused else {name: one for name, one in was.items() if name in was.keys() - asked(before).keys()}
        meant = {**meant, **({} if refused else asked(after)), **acted}
        assert found(diag) == {name: one for name, one in meant.items() if one is not None}
        assert refused or taken <= acted.keys(), "the name of a probe that is there was given to another"
        await check(diag)
        nursery.cancel_scope.cancel()


def _act(diag: fp.Diagnostics, verb: str, name: str, acted: dict[str, tuple[str, float] | None]) -> None:
    try:
        if verb == "add":
            _add(diag, name)
            acted[name] = ("127.0.0.1:9", 30.0)
        elif verb == "remove":
            diag.remove(name)
            acted[name] = None
        elif verb == "pause":
            diag.pause(name)
    except (fp.DuplicateNameError, fp.UnknownProbeError):
        pass


def _add(diag: fp.Diagnostics, name: str) -> None:
    diag.add(fp.TcpProbe("127.0.0.1:9"), name=name, interval=30.0, initial_delay="1h")


# -- interrupted ---------------------------------------------------------------------------------------------------------------

BEFORE = [spec(str(number)) for number in range(2000)]
AFTER = [*(spec(str(number), port=2) for number in range(500, 1500)), *(spec(f"new {number}") for number in range(1000))]


async def first_change(diag: fp.Diagnostics, since: int) -> None:
    with trio.fail_after(10):
        while diag.catalog.version == since:
            await trio.lowlevel.checkpoint()


async def test_a_reload_that_is_cancelled_under_way_is_done_to_the_end(empty: fp.Config) -> None:
    async with fp.Diagnostics.from_config(config(empty, BEFORE)) as diag:
        version = diag.catalog.version
        async with trio.open_nursery() as nursery:
            nursery.start_soon(diag.reload, config(empty, AFTER))
            await first_change(diag, version)
            assert found(diag) not in (asked(BEFORE), asked(AFTER))
            nursery.cancel_scope.cancel()
        assert found(diag) == asked(AFTER)
        await check(diag)
        assert (await diag.reload(config(empty, AFTER))).untouched == len(AFTER)


async def test_a_reload_that_is_cancelled_before_it_changes_anything_changes_nothing(empty: fp.Config) -> None:
    async with fp.Diagnostics.from_config(config(empty, BEFORE)) as diag:
        version, policy = diag.catalog.version, diag.gate.policy
        async with trio.open_nursery() as nursery:
            nursery.start_soon(diag.reload, config(empty, AFTER))
            while diag.catalog.kept is None:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        assert diag.catalog.version == version
        assert diag.gate.policy is policy
        await check(diag)
        await diag.reload(config(empty, AFTER))
        assert found(diag) == asked(AFTER)


async def test_who_leaves_waits_for_a_reload_that_is_under_way(empty: fp.Config) -> None:
    diag = fp.Diagnostics.from_config(config(empty, BEFORE))
    async with trio.open_nursery() as nursery:
        async with diag:
            version = diag.catalog.version
            nursery.start_soon(diag.reload, config(empty, AFTER))
            await first_change(diag, version)
        assert not diag.running
        assert found(diag) == asked(AFTER)
    await check(diag)
    async with diag:
        await check(diag)


async def test_who_enters_waits_for_a_reload_that_is_under_way(empty: fp.Config) -> None:
    diag = fp.Diagnostics.from_config(config(empty, BEFORE))
    async with trio.open_nursery() as nursery:
        version = diag.catalog.version
        nursery.start_soon(diag.reload, config(empty, AFTER))
        await first_change(diag, version)
        async with diag:
            assert found(diag) == asked(AFTER)
            await check(diag)


async def test_of_two_reloads_at_once_one_waits_for_the_other(empty: fp.Config) -> None:
    summaries: list[fp.ReloadSummary] = []

    async def reload(specs: Sequence[ProbeSpec]) -> None:
        summaries.append(await diag.reload(config(empty, specs)))

    async with fp.Diagnostics.from_config(config(empty, BEFORE)) as diag:
        async with trio.open_nursery() as nursery:
            version = diag.catalog.version
            nursery.start_soon(reload, AFTER)
            await first_change(diag, version)
            nursery.start_soon(reload, BEFORE)
        assert found(diag) == asked(BEFORE)
        assert [(one.added, one.removed, one.changed, one.untouched) for one in summaries] == [
            (1000, 1000, 1000, 0),
            (1000, 1000, 1000, 0),
        ]
        await check(diag)


async def test_of_two_who_reload_the_file_the_one_that_applies_last_has_read_last(empty: fp.Config) -> None:
    written = [AFTER, BEFORE]
    diag = fp.Diagnostics.from_config(config(empty, BEFORE), lambda: config(empty, written.pop(0)))
    async with diag, trio.open_nursery() as nursery:
        nursery.start_soon(diag.reload_file)
        nursery.start_soon(diag.reload_file)
    assert found(diag) == asked(BEFORE)


# -- refused, or gone wrong ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("specs", "problem"),
    [
        ([*AFTER, spec("mine")], "this name is taken"),
        ([*AFTER, spec("round", depends_on=("mine",)), spec("trip", depends_on=("round",))], "a circle"),
        ([spec(str(number)) for number in range(3000)], "3001 probes would pass the bound of 3000"),
    ],
    ids=["taken", "circle", "bound"],
)
async def test_what_cannot_be_is_refused_before_anything_is_changed(
    empty: fp.Config, specs: list[ProbeSpec], problem: str
) -> None:
    diag = fp.Diagnostics.from_config(config(empty, BEFORE, max_probes=3000))
    diag.add(fp.TcpProbe("127.0.0.1:9"), name="mine", depends_on=("trip",))
    async with diag:
        version, policy = diag.catalog.version, diag.gate.policy
        with pytest.raises(fp.ConfigError, match=problem):
            await diag.reload(config(empty, specs, max_probes=3000))
        assert diag.catalog.version == version
        assert diag.gate.policy is policy
        await check(diag)


async def test_what_comes_is_kept_from_others_from_the_first_turn_on(empty: fp.Config) -> None:
    after = [*BEFORE[1:], *(spec(f"new {number}") for number in range(999)), spec("last", depends_on=("mine",))]
    async with fp.Diagnostics.from_config(config(empty, BEFORE, max_probes=3000)) as diag, trio.open_nursery() as nursery:
        version = diag.catalog.version
        nursery.start_soon(diag.reload, config(empty, after, max_probes=3000))
        await first_change(diag, version)
        assert "last" not in diag.catalog.by_name
        with pytest.raises(fp.DuplicateNameError):
            _add(diag, "last")
        with pytest.raises(fp.ConfigError, match="a circle"):
            diag.add(fp.TcpProbe("127.0.0.1:9"), name="mine", depends_on=("last",))
        _add(diag, "mine")
        with pytest.raises(fp.CapacityError, match="3000 probes are registered, 1 more"):
            _add(diag, "one too many")
    assert found(diag) == {**asked(after), "mine": ("127.0.0.1:9", 30.0)}


class Brittle:
    """It breaks when it is registered."""

    kind = "brittle"
    target = "nowhere"

    def __getattribute__(self, name: str) -> object:
        if name == "kind":
            raise OSError("broken")
        return super().__getattribute__(name)

    async def check(self) -> None:
        """It never comes to this."""


@pytest.mark.parametrize("place", ["added", "changed"])
async def test_what_goes_wrong_under_way_leaves_the_old_set(empty: fp.Config, place: str) -> None:
    name = "brittle" if place == "added" else BEFORE[1400].name
    slower = [spec(str(number), interval_s=7200.0) for number in range(100)]
    after = [*slower, *(one for one in AFTER if one.name != name)]
    after.insert(-300, msgspec.structs.replace(BEFORE[0], name=name, probe=Brittle()))
    async with fp.Diagnostics.from_config(config(empty, BEFORE)) as diag:
        _add(diag, "mine")
        kept, adjusted = diag.catalog["1999"], diag.catalog["0"]
        security = msgspec.structs.replace(empty.settings.security, max_rate=7)
        rate = diag.gate.rates.max_rate
        with pytest.raises(OSError, match="broken"):
            await diag.reload(config(empty, [*after, BEFORE[1999]], security=security))
        assert found(diag) == {**asked(BEFORE), "mine": ("127.0.0.1:9", 30.0)}
        assert (diag.catalog["1999"], diag.catalog["0"]) == (kept, adjusted)
        assert diag.gate.rates.max_rate == rate
        await check(diag)
        await diag.reload(config(empty, AFTER))
        assert found(diag) == {**asked(AFTER), "mine": ("127.0.0.1:9", 30.0)}


async def test_probes_that_stay_keep_their_state_and_their_pause(empty: fp.Config) -> None:
    async with fp.Diagnostics.from_config(config(empty, BEFORE)) as diag:
        for name in ("700", "1800", "1801"):
            diag.report(name, ok=True)
        await trio.sleep(0.05)
        diag.pause("1801")
        stay = [spec(str(number), interval_s=60.0 if number == 1800 else 3600.0) for number in range(1700, 2000)]
        await diag.reload(config(empty, [*AFTER, *stay]))
        states = [diag.view(name).state for name in ("700", "1800", "1801", "1999")]
        assert states == [fp.State.UNKNOWN, fp.State.HEALTHY, fp.State.PAUSED, fp.State.UNKNOWN]
        assert diag.view("1800").runs["ok"] == 1
        assert diag.view("1800").interval_s == 60.0


async def test_a_quorum_counts_no_member_that_a_reload_has_taken_away(empty: fp.Config) -> None:
    async with fp.Diagnostics.from_config(config(empty, BEFORE)) as diag:
        diag.add(fp.QuorumProbe("[0-9]*", at_least=1), name="any", interval="1h", initial_delay="1h")
        diag.report("0", ok=True)
        await trio.sleep(0.05)
        assert (await diag.run_once("any")).state is fp.State.HEALTHY
        version = diag.catalog.version
        async with trio.open_nursery() as nursery:
            nursery.start_soon(diag.reload, config(empty, BEFORE[1:500]))
            await first_change(diag, version)
            with pytest.raises(fp.SkippedError, match="members_unknown"):
                await diag.run_once("any")


async def test_what_needs_a_restart_is_told_until_the_host_has_had_one(empty: fp.Config) -> None:
    diag = fp.Diagnostics.from_config(config(empty, ()))
    assert [
        (await diag.reload(config(empty, (), notify_s=notify_s))).needs_restart
        for notify_s in (0.01, 0.01, empty.settings.notify_s)
    ] == [True, True, False]
