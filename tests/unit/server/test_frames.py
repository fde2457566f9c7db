"""Counting HTTP/2 frames: whatever way the bytes are cut, and whatever they are."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.server.frames import BURST, PER_S, PREFACE, FrameMeter

SETTINGS, PING, RST, WINDOW_UPDATE, HEADERS, DATA = 4, 6, 3, 8, 1, 0


class Clock:
    now_s = 0.0

    def __call__(self):
        return self.now_s


def frame(kind, size=0):
    return size.to_bytes(3, "big") + bytes([kind, 0, 0, 0, 0, 1]) + b"\0" * size


def fed(meter, data, cuts=()):
    """Whether all pieces were taken."""
    bounds = [0, *sorted(cuts), len(data)]
    taken = [meter.take(data[begin:end]) for begin, end in pairwise(bounds)]  # every piece, whatever came of those before
    return all(taken)


@pytest.mark.parametrize("kind", [SETTINGS, PING, RST, 2, 9, 77])
def test_a_flood_is_too_many_and_a_handful_is_not(kind):
    assert fed(FrameMeter(Clock()), PREFACE + frame(kind, 8) * int(BURST))
    assert not fed(FrameMeter(Clock()), PREFACE + frame(kind, 8) * (int(BURST) + 1))


def test_what_moves_data_costs_little():
    assert fed(FrameMeter(Clock()), PREFACE + frame(HEADERS, 40) * 900)
    assert fed(FrameMeter(Clock()), PREFACE + frame(WINDOW_UPDATE, 4) * 9000)
    assert fed(FrameMeter(Clock()), PREFACE + frame(DATA, 1000) * 9000)
    assert fed(FrameMeter(Clock()), PREFACE + frame(DATA, 100) * 900)
    assert not fed(FrameMeter(Clock()), PREFACE + frame(DATA, 1) * 1100)
    assert not fed(FrameMeter(Clock()), PREFACE + frame(DATA, 0) * 200)


def test_time_gives_back_what_was_spent():
    clock = Clock()
    meter = FrameMeter(clock)
    assert fed(meter, PREFACE + frame(PING, 8) * int(BURST))
    clock.now_s = 0.5
    assert fed(meter, frame(PING, 8) * int(PER_S / 2))
    assert not fed(meter, frame(PING, 8))


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n\r\n", b"P", b"PRI * HTTP/1", b"\x16\x03\x01", b""])
def test_what_is_no_http2_is_never_too_much(first):
    meter = FrameMeter(Clock())
    assert meter.take(first)
    assert meter.take(b"x" * 100)
    assert meter.take(frame(PING, 8) * 1000)


FRAMES = st.lists(
    st.tuples(st.sampled_from([SETTINGS, PING, RST, WINDOW_UPDATE, HEADERS, DATA, 99]), st.integers(0, 60)), max_size=60
)


@given(FRAMES, st.data())
def test_it_makes_no_difference_where_the_bytes_are_cut(frames, data):
    content = PREFACE + b"".join(frame(*one) for one in frames)
    cuts = data.draw(st.lists(st.integers(0, len(content)), max_size=20))
    whole, cut = FrameMeter(Clock()), FrameMeter(Clock())
    fed(whole, content)
    fed(cut, content, cuts)
    assert cut._left == pytest.approx(whole._left)


@given(st.lists(st.binary(max_size=100), max_size=20))
def test_no_bytes_break_it_or_stay(pieces):
    meter = FrameMeter(Clock())
    meter.take(PREFACE)
    for piece in pieces:
        meter.take(piece)
        assert len(meter._kept) < 9
