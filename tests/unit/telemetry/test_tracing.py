"""Traces: the caller's decision stands, the rest is sampled, and what is malformed says nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.telemetry.tracing import Sampler, read_traceparent

ID, PARENT = b"4bf92f3577b34da6a3ce929d0e0e4736", b"00f067aa0ba902b7"


@pytest.mark.parametrize(("flags", "sampled"), [(b"01", True), (b"00", False), (b"03", True), (b"02", False)])
def test_who_asks_decides(flags, sampled):
    sampler = Sampler(lambda: 0.0)
    sampler.probability = 1.0
    trace = sampler.trace([b"00-" + ID + b"-" + PARENT + b"-" + flags])
    assert (trace is not None) is sampled
    if trace is not None:
        assert trace.trace_id == ID.decode()
        assert trace.span_id != PARENT.decode()


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"00-" + ID + b"-" + PARENT,
        b"ff-" + ID + b"-" + PARENT + b"-01",
        b"00-" + bytes(32).replace(b"\0", b"0") + b"-" + PARENT + b"-01",
        b"00-" + ID + b"-0000000000000000-01",
        b"00-" + ID.upper() + b"-" + PARENT + b"-01",
        b"00-" + ID + b"-" + PARENT + b"-01-more",
        b"00-" + ID + b"-" + PARENT + b"-01\n",
    ],
)
def test_what_is_malformed_says_nothing(value):
    assert read_traceparent(value) is None


def test_a_later_version_is_read_as_far_as_it_is_known():
    assert read_traceparent(b"01-" + ID + b"-" + PARENT + b"-01-more") == (ID.decode(), True)


@given(st.floats(0, 1, exclude_max=True), st.floats(0, 1))
def test_the_rest_is_sampled(dice, probability):
    sampler = Sampler(lambda: dice)
    sampler.probability = probability
    assert (sampler.trace([]) is not None) is (dice < probability)


@given(st.binary(max_size=80))
def test_any_header_is_taken(value):
    Sampler().trace([value])
