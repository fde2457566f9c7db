"""Async tests run on trio; a test that asks for `mock_clock` runs on a virtual clock that jumps when everybody waits."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, settings

# A loaded machine is slow without being wrong: how long an example takes is no claim of any test here.
settings.register_profile("patient", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def level_of_our_log() -> Iterator[None]:
    """A test may turn the log up or down (the toggle `log.level` does): the next one finds it as it was."""
    ours = logging.getLogger("meshkit_fastprobe")
    before = ours.level
    yield
    ours.setLevel(before)


@pytest.fixture
def mock_clock() -> trio.testing.MockClock:
    return trio.testing.MockClock(autojump_threshold=0)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments: dict[str, Any] = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    clock = next((value for value in arguments.values() if isinstance(value, trio.abc.Clock)), None)

    async def main() -> None:
        await pyfuncitem.obj(**arguments)

    trio.run(main, clock=clock)
    return True
