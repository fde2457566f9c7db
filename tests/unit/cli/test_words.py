from __future__ import annotations

import pytest

from meshkit_fastprobe.cli import words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0.0, "0s"), (45.1e-6, "45.1µs"), (0.00123, "1.23ms"), (0.1554, "155ms"), (1.2, "1.20s"), (75, "75.0s")],
)
def test_latencies_have_three_figures_and_a_unit(seconds, text):
    assert words.latency(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(-3, "0s"), (59.9, "59s"), (190, "3m10s"), (7500, "2h05m"), (4 * 86400 + 7 * 3600, "4d07h")]
)
def test_ages_have_at_most_two_units(seconds, text):
    assert words.age(seconds) == text


def test_a_hundred_per_cent_means_all():
    assert words.ratio(1.0) == "100%"
    assert words.ratio(0.999999) == "99.99%"
    assert words.ratio(None) == "-"


def test_a_quantile_among_the_timeouts_has_a_word_and_no_number():
    assert words.quantile({"beyondRange": ["p99"]}, "p99") == "timeout"
    assert words.quantile({"p50Seconds": 0.001}, "p50") == "1.00ms"


def test_why_is_the_reason_and_what_was_said():
    assert (
        words.why({"reason": "http_status", "message": "unexpected HTTP status 503"})
        == "http_status: unexpected HTTP status 503"
    )
    assert words.why({}) == ""
