"""What can be written as the target of a restart, and how many an hour are allowed. No process is touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from meshkit_fastprobe.chaos.faults.base import FaultError
from meshkit_fastprobe.chaos.faults.restart import Restart
from meshkit_fastprobe.chaos.restart_budget import HOUR_S, RestartBudget
from meshkit_fastprobe.chaos.restarting.process import identity_of
from meshkit_fastprobe.errors import ConfigError


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    "target",
    [
        "child:worker-1",
        "callable:bounce",
        "pid:4711",
        "pidfile:/run/orders.pid",
        "systemd:orders@eu.service",
        "kubernetes:orders/orders-7d9f-x2",
    ],
)
def test_every_way_has_one_form(target: str) -> None:
    assert Restart(target=target).target == target


@pytest.mark.parametrize(
    "target",
    [
        "",
        "worker",
        "child:",
        "child:../x",
        "child:a b",
        "callable:os.system('id')",
        "pid:0",
        "pid:-1",
        "pid:1;id",
        "pid:99999999",
        "pid:\u0661",
        "pidfile:run/x.pid",
        "pidfile:/run/x\n.pid",
        "systemd:orders",
        "systemd:--now.service",
        "systemd:$(id).service",
        "systemd:a b.service",
        "systemd:../x.service",
        "kubernetes:orders",
        "kubernetes:orders/../nodes/n1",
        "kubernetes:orders/a%2fb",
        "kubernetes:Orders/x",
        "kubernetes:orders/x?force=1",
        "ssh:host",
    ],
)
def test_anything_else_is_refused(target: str) -> None:
    with pytest.raises(ConfigError) as told:
        Restart(target=target)
    assert told.value.where == "Restart.target"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("grace", "1h"),
        ("grace", -1.0),
        ("api", "http://10.0.0.1"),
        ("api", "https://user@host"),
        ("api", "https://host/path"),
        ("token_file", "token"),
        ("ca_file", "/ca\0"),
    ],
)
def test_keys_have_bounds(key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"^Restart.{key}: "):
        Restart(target="pid:1", **{key: value})


@pytest.mark.parametrize("budget", [lambda path: path, lambda _: None], ids=["on disk", "in memory"])
def test_no_more_restarts_than_allowed_in_any_hour(budget: Any, tmp_path: Path) -> None:
    clock = Clock()
    kept = RestartBudget(budget(tmp_path / "restarts.json"), max_per_hour=2, wall_clock=clock)
    kept.take()
    clock.now += HOUR_S / 2
    kept.take()
    with pytest.raises(FaultError, match="used up on this host; the next in 30 min"):
        kept.take()
    clock.now += HOUR_S / 2
    assert kept.left() == 1


def test_starting_anew_buys_no_restarts(tmp_path: Path) -> None:
    RestartBudget(tmp_path / "restarts.json", max_per_hour=1).take()
    assert RestartBudget(tmp_path / "restarts.json", max_per_hour=1).left() == 0


def test_setting_the_clock_back_buys_no_restarts() -> None:
    clock = Clock()
    budget = RestartBudget(max_per_hour=1, wall_clock=clock)
    budget.take()
    clock.now -= 10 * HOUR_S
    assert budget.left() == 0


def test_no_restart_without_a_record_of_it(tmp_path: Path) -> None:
    with pytest.raises(FaultError, match="none without it"):
        RestartBudget(tmp_path / "missing" / "restarts.json").take()


@pytest.mark.parametrize("content", [b"", b"{}", b"[1,", b'["now"]'])
def test_a_record_that_cannot_be_read_allows_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "restarts.json"
    path.write_bytes(content)
    with pytest.raises(FaultError, match="cannot be read"):
        RestartBudget(path).take()


@pytest.mark.parametrize(
    "was",
    [
        {},
        {"pid": "1"},
        {"pid": "-1", "started": "1"},
        {"pid": "1;id", "started": "1"},
        {"pid": "0", "started": "1"},
        {"pid": "9" * 12, "started": "1"},
        {"pid": "1\n", "started": "1"},
        {"pid": "\u0661", "started": "1"},
    ],
)
def test_a_plan_from_a_disk_that_makes_no_sense_names_no_process(was: dict[str, str]) -> None:
    with pytest.raises(FaultError, match="names no process"):
        identity_of(was)
