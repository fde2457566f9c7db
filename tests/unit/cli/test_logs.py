"""A log that is written aside: whole while somebody reads, dropped and counted while nobody does, and never in the way."""

from __future__ import annotations

import logging
import os
import time

import pytest

from meshkit_fastprobe.cli.logs import LogForm, logging_aside

log = logging.getLogger("meshkit_fastprobe.test")


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


def test_lines_come_whole_and_in_order(pipe):
    reader, writer = pipe
    logging.getLogger("meshkit_fastprobe").setLevel(logging.INFO)
    with logging_aside(writer):
        for number in range(100):
            log.info("line %d", number)
        log.debug("not this one")
    lines = os.read(reader, 1 << 16).decode().splitlines()
    assert [line.rpartition(": ")[2] for line in lines] == [f"line {number}" for number in range(100)]
    assert "INFO meshkit_fastprobe.test" in lines[0]


def test_a_pipe_that_nobody_reads_holds_up_nobody_and_what_is_lost_is_told(pipe):
    reader, writer = pipe
    with logging_aside(writer, kept=10) as waiting:
        for _ in range(5000):
            log.info("x" * 100)
        assert waiting.dropped > 0
        text = ""
        deadline = time.monotonic() + 20
        while "were dropped" not in text:
            assert time.monotonic() < deadline
            text += os.read(reader, 1 << 16).decode()
            log.info("again")
    assert "lines of the log were dropped: nobody took them" in text


def test_a_reader_who_takes_nothing_does_not_keep_us_from_ending(pipe):
    _, writer = pipe
    began = time.monotonic()
    with logging_aside(writer, kept=10):
        for _ in range(5000):
            log.info("x" * 100)
    assert time.monotonic() - began < 20


def test_a_reader_who_has_gone_is_nobodys_trouble():
    reader, writer = os.pipe()
    os.close(reader)
    with logging_aside(writer):
        log.info("anybody?")
    os.close(writer)


def test_the_root_logger_is_as_it_was():
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    with logging_aside(os.open(os.devnull, os.O_WRONLY)):
        assert root.level == logging.INFO
    assert (root.level, list(root.handlers)) == before


class Unsayable:
    def __str__(self):
        raise KeyError("not even this")


class Unwritable(dict):
    def __repr__(self):
        raise KeyError("nor this")


@pytest.mark.parametrize("form", LogForm)
def test_a_record_that_nobody_can_make_a_line_of_costs_its_own_line(pipe, form):
    reader, writer = pipe
    with logging_aside(writer, form=form) as waiting:
        # Past the logger: pytest's own handlers make it a failure of the test.
        waiting.handle(logging.LogRecord("mine", logging.INFO, "here.py", 7, "%s", (Unsayable(),), None))
        log.info("between", extra={"field": Unwritable({object(): 1})})
        log.info("after")
    first, *_, last = os.read(reader, 1 << 16).decode().splitlines()
    assert "a line of the log could not be told: mine, here.py:7" in first
    assert "after" in last
