"""Server-sent events: what is kept of a stream does not depend on how its bytes are cut, and is bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.probes.event_stream import MAX_LINE_BYTES, EndlessLineError, EventStream, follows

NO_END = st.binary(max_size=20).filter(lambda raw: not {10, 13} & set(raw))
LINES = st.lists(st.one_of(st.sampled_from([b"", b":", b"data: x"]), NO_END), max_size=8)


@given(LINES, st.sampled_from([b"\n", b"\r\n", b"\r"]), st.data())
def test_cuts_change_nothing(lines: list[bytes], end: bytes, data: st.DataObject) -> None:
    text = b"".join(line + end for line in [*lines, b"id: 7"])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    whole, cut = EventStream("6"), EventStream("6")
    heard = whole.feed(text)
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    heard_in = [cut.feed(piece) for piece in pieces]
    assert any(heard_in) is heard
    assert (cut.token, cut.gap) == (whole.token, whole.gap)


@pytest.mark.parametrize(("data", "heard"), [(b":\n", True), (b"data: x\n", True), (b"\n\n", False), (b": not yet", False)])
def test_comments_are_heartbeats_and_empty_or_unfinished_lines_are_nothing(data: bytes, heard: bool) -> None:
    assert EventStream().feed(data) is heard


@pytest.mark.parametrize(
    ("data", "token"),
    [
        (b"id: 5\n", "5"),
        (b"id:5\r\n", "5"),
        (b"id\n", ""),
        (b"id: a\0b\n", "4"),
        (b"id: \xff\n", "4"),
        (b"id: " + b"5" * 2000 + b"\n", "4"),
    ],
)
def test_the_last_token_that_a_header_can_carry_is_kept(data: bytes, token: str) -> None:
    stream = EventStream()
    stream.feed(b"id: 4\n")
    stream.feed(data)
    assert stream.token == token


def test_the_event_that_was_named_as_the_last_must_not_come_again() -> None:
    again, onward = EventStream("a"), EventStream("a")
    again.feed(b"id: a\n")
    onward.feed(b"id: b\nid: a\n")  # later it is the target's business
    assert again.gap
    assert not onward.gap


def test_gapless_numbers_go_on_by_one() -> None:
    stream = EventStream("8", gapless=True)
    stream.feed(b"id: 9\nid: 10\n")
    assert not stream.gap
    stream.feed(b"id: 12\n")
    assert stream.gap
    loose = EventStream("8")
    loose.feed(b"id: 12\n")
    assert not loose.gap


@pytest.mark.parametrize(
    ("before", "token", "whether"), [("9", "10", True), ("9", "9", False), ("9", "11", False), ("a", "c", True)]
)
def test_only_whole_numbers_have_an_order(before: str, token: str, whether: bool) -> None:
    assert follows(before, token) is whether


def test_an_endless_line_is_refused() -> None:
    stream = EventStream()
    for _ in range(MAX_LINE_BYTES // 1024):
        stream.feed(b"x" * 1024)
    with pytest.raises(EndlessLineError):
        stream.feed(b"x")
