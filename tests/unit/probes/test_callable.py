"""Callables find their lane, and those that could not be called are refused when they are registered."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from meshkit_fastprobe.model import Lane, Outcome
from meshkit_fastprobe.probes.base import lane_of
from meshkit_fastprobe.probes.callable import AsyncCallable, SyncCallable, from_callable


async def asynchronous() -> None: ...


def plain() -> Outcome | None: ...


def needs(_argument: int) -> None: ...


async def needs_later(_argument: int, *, _other: int = 0) -> None: ...


class CalledLater:
    async def __call__(self) -> None: ...


class CalledNow:
    def __call__(self) -> None: ...

    async def method(self) -> None: ...


@pytest.mark.parametrize(
    "check",
    [asynchronous, CalledLater(), CalledNow().method, functools.partial(needs_later, 1), functools.partial(asynchronous)],
)
def test_what_gives_a_coroutine_runs_in_the_task_lane(check: Any) -> None:
    probe = from_callable(check)
    assert isinstance(probe, AsyncCallable)
    assert lane_of(type(probe)) is Lane.TASK


@pytest.mark.parametrize("check", [plain, CalledNow(), lambda: None, functools.partial(needs, 1), dict])
def test_everything_else_runs_in_the_thread_lane(check: Any) -> None:
    probe = from_callable(check)
    assert isinstance(probe, SyncCallable)
    assert lane_of(type(probe)) is Lane.THREAD


@pytest.mark.parametrize("check", [None, 5, "plain", asynchronous.__code__])
def test_what_cannot_be_called_is_refused(check: Any) -> None:
    with pytest.raises(TypeError, match="must be callable"):
        from_callable(check)


@pytest.mark.parametrize("check", [needs, needs_later, functools.partial(needs)])
def test_what_needs_arguments_is_refused(check: Any) -> None:
    with pytest.raises(TypeError, match="without arguments"):
        from_callable(check)


@pytest.mark.parametrize(
    ("check", "target"),
    [
        (plain, "plain"),
        (CalledNow(), "CalledNow"),
        (CalledNow().method, "CalledNow.method"),
        (functools.partial(needs, 1), "needs"),
    ],
)
def test_the_target_names_the_code(check: Any, target: str) -> None:
    assert from_callable(check).target == f"{__name__}.{target}"
