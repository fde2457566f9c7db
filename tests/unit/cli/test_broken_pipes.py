"""What becomes of a command whose reader has gone, as `| head` goes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from meshkit_fastprobe.cli import pipes, tables
from meshkit_fastprobe.cli.exits import CliError
from tests.unit.cli.conftest import nobody_reads


@pytest.fixture
def unread() -> Iterator[int]:
    with nobody_reads() as end:
        yield end.fileno()


def test_a_console_raises_once_when_nobody_reads_and_is_quiet_then(monkeypatch: pytest.MonkeyPatch) -> None:
    with nobody_reads() as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        console = tables.console()
        with pytest.raises(BrokenPipeError):
            console.print("first")
        console.print("more")
        stdout.write("what others write goes nowhere")
        stdout.flush()


def test_a_console_of_stderr_leaves_stdout_alone(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    with nobody_reads() as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        with pytest.raises(BrokenPipeError):
            tables.console(stderr=True).print("first")
    os.write(1, b"the report")
    assert capfd.readouterr().out == "the report"


@pytest.mark.parametrize(
    "words",
    [("status", "--host", "http://127.0.0.1:1"), ("status", "--host", "http://127.0.0.1:1", "-o", "json"), ("--help",)],
    ids=["drawn", "json", "help"],
)
def test_a_command_whose_reader_has_gone_ends_well_and_says_nothing(words: tuple[str, ...], unread: int) -> None:
    command = [sys.executable, "-m", "meshkit_fastprobe", *words]
    ended = subprocess.run(command, check=False, stdout=unread, stderr=subprocess.PIPE, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_what_must_be_read_is_an_error_when_nobody_reads_and_what_is_told_afterwards_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with nobody_reads() as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        with pytest.raises(CliError, match="nobody reads the plan, so nothing was done"), pipes.needed("the plan"):
            tables.console().print("a plan")
    with nobody_reads() as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        with pipes.welcome():
            print("a report", flush=True)
