"""The exec probe with commands that fail, flood, fork, hang, and look around."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import trio

import meshkit_fastprobe as fp
from meshkit_fastprobe.model import Outcome, Reason, Result
from meshkit_fastprobe.probes.exec import CLEAN, ExecProbe

pytestmark = pytest.mark.integration


async def run(*argv: str, target: str = "it", **options: Any) -> Outcome:
    with trio.fail_after(30):
        return await ExecProbe(target, argv, **options).check()


async def sh(script: str, **options: Any) -> Outcome:
    return await run("/bin/sh", "-c", script, **options)


async def test_success_passes_with_the_first_line_for_a_message() -> None:
    outcome = await sh("echo 'disk at 40% | used=40%'; echo more")
    assert outcome == Outcome.ok("disk at 40%")


@pytest.mark.parametrize(
    ("status", "plain", "nagios"),
    [
        (1, Result.FAIL, Result.DEGRADED),
        (2, Result.FAIL, Result.FAIL),
        (3, Result.FAIL, Result.ERROR),
        (77, Result.FAIL, Result.ERROR),
    ],
)
async def test_the_exit_status_is_the_verdict(status: int, plain: Result, nagios: Result) -> None:
    for meaning, result in (("plain", plain), ("nagios", nagios)):
        outcome = await sh(f"echo why >&2; exit {status}", exit_status=meaning)
        assert (outcome.result, outcome.reason, outcome.detail) == (result, Reason.EXEC_STATUS, status)
        assert outcome.message == "why"


async def test_a_command_that_is_killed_fails_with_the_signal() -> None:
    outcome = await sh("kill -TERM $$")
    assert (outcome.result, outcome.reason, outcome.detail) == (Result.FAIL, Reason.EXEC_SIGNAL, 15)
    assert outcome.message == "SIGTERM"


async def test_what_is_expected_of_the_output_must_be_there() -> None:
    assert (await sh("echo all is well", output_contains="is well")).result is Result.OK
    assert (await sh("echo all is lost", output_contains="is well")).reason is Reason.BODY_MISMATCH


async def test_no_shell_reads_the_target() -> None:
    outcome = await run("/bin/echo", "host={target}", target="$(id); `id` && * ~")
    assert outcome.message == "host=$(id); `id` && * ~"


async def test_the_environment_is_clean_but_for_what_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "abc")
    script = "import os; print(*sorted(os.environ.items()), os.getcwd())"
    outcome = await run(sys.executable, "-I", "-S", "-c", script, env={"GIVEN": "yes"})
    assert outcome.message == " ".join(str(item) for item in sorted({**CLEAN, "GIVEN": "yes"}.items())) + " /"


async def test_it_has_no_input_and_no_descriptors_of_ours() -> None:
    ours = os.dup(2)
    os.set_inheritable(ours, True)
    outcome = await sh("cat; ls /proc/self/fd | tr '\\n' ' '")
    os.close(ours)
    assert outcome.message.split()[:3] == ["0", "1", "2"]
    assert len(outcome.message.split()) <= 4  # and the directory that is being listed


async def test_a_flood_of_output_ends_at_the_bound() -> None:
    outcome = await sh("yes", max_output_bytes=1000)
    assert (outcome.result, outcome.reason) == (Result.FAIL, Reason.EXEC_OUTPUT)


async def test_what_does_not_print_is_not_shown() -> None:
    outcome = await sh(r"printf '\033[31mred\377'")
    assert outcome.message == "?[31mred\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize("script", ["sleep 1000 & sleep 1000", "trap '' TERM INT; (sleep 1000; :) & while :; do sleep 1; done"])
async def test_a_timeout_ends_the_whole_group(script: str, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with trio.fail_after(30), trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                await sh(f"echo $$ > {pid_file}.new; mv {pid_file}.new {pid_file}; {script}")

            nursery.start_soon(ask)
            while not pid_file.exists():
                await trio.sleep(0.01)
            scope.cancel()
    assert scope.cancelled_caught
    await nobody_in_group(int(pid_file.read_text()))


async def test_what_a_command_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    began_s = time.monotonic()
    outcome = await sh(f"sleep 1000 & echo $$ > {tmp_path}/pid; echo fine")
    assert outcome == Outcome.ok("fine")
    assert time.monotonic() - began_s < 500  # it does not wait for what holds its output open
    await nobody_in_group(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize(("path", "number"), [("/no/such/command", 2), ("/etc/passwd", 13)])
async def test_a_command_that_cannot_start_is_our_own_error(path: str, number: int) -> None:
    outcome = await run(path)
    assert (outcome.result, outcome.reason, outcome.detail) == (Result.ERROR, Reason.EXEC_FAILED, number)


async def test_no_descriptor_and_no_child_is_left() -> None:
    await sh("true")
    descriptors, children = open_descriptors(), set(psutil.Process().children())
    for _ in range(20):
        await sh("exit 1")
    assert open_descriptors() == descriptors
    assert set(psutil.Process().children()) <= children  # other tests' servers may run beside


async def test_a_runtime_ends_it_at_its_timeout() -> None:
    diag = fp.Diagnostics(fp.Settings(host="test"))
    diag.add(fp.ExecProbe("it", ("/bin/sleep", "1000")), name="hangs", interval="30s", timeout="200ms")
    diag.add(fp.ExecProbe("it", ("/bin/true",)), name="passes", interval="30s", timeout="20s")
    async with diag:
        assert (await diag.run_once("hangs")).reason is Reason.TIMEOUT
        assert (await diag.run_once("passes")).state is fp.State.HEALTHY


async def nobody_in_group(group: int) -> None:
    """Killed processes may take a moment to be reaped by whoever inherited them; zombies are nobody."""
    with trio.fail_after(30):
        while any(_is_in(process, group) for process in psutil.process_iter()):
            await trio.sleep(0.01)


def _is_in(process: psutil.Process, group: int) -> bool:
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, psutil.Error):
        return False


def open_descriptors() -> int:
    return psutil.Process().num_fds()
