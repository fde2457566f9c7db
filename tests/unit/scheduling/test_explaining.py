"""What people read of a run, from what the engine told."""

from __future__ import annotations

import numpy as np

from meshkit_fastprobe._native import layout
from meshkit_fastprobe._native.failures import Failures
from meshkit_fastprobe.model import Outcome, Phases, Reason, Result
from meshkit_fastprobe.probes.seeing import Seen
from meshkit_fastprobe.scheduling.explaining import headers_of, known_failure, of_failures


def test_headers_are_those_of_the_final_answer_and_cookies_keep_their_values() -> None:
    head = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nServer:  t \r\nset-Cookie: sid=secret\r\n\r\n"
    assert headers_of(head) == (("Server", "t"), ("set-Cookie", "(not shown)"))


def test_a_head_that_was_cut_is_told_as_far_as_it_came() -> None:
    assert headers_of(b"HTTP/1.1 200 OK\r\nServer: t\r\nX-Lo") == (("Server", "t"),)
    assert headers_of(b"") == ()


def test_a_phase_that_was_not_reached_has_no_time() -> None:
    failures = Failures(8, 2)
    records = np.zeros(1, layout.RECORD)
    records[0] = (3, 1, 2_000_000_000, 5_000_000, 0, 0, Result.TIMEOUT, Reason.TIMEOUT)
    failures.take(records, 1)
    (told,) = of_failures(failures.read(3, 1), 5_000_000_000, 1000.0)
    assert (told.at, told.latency_s, told.result) == (997.0, 0.005, Result.TIMEOUT)
    assert (told.phases.connect_s, told.phases.first_byte_s, told.round_trip_s) == (None, None, None)


def test_what_a_lane_knows_of_a_failure_is_remembered_once() -> None:
    failures = Failures(8, 2)
    outcome = Outcome(Result.FAIL, Reason.TLS_EXPIRED, phases=Phases(connect_s=0.001, tls_s=0.002))
    failure = known_failure(outcome, None, 2_000_000_000, 5_000_000)
    assert failure is not None
    failures.tell(3, 1, failure)
    records = np.zeros(1, layout.RECORD)
    records[0] = (3, 1, 2_000_000_000, 5_000_000, 0, 0, outcome.result, outcome.reason)
    failures.take(records, 1)
    (told,) = of_failures(failures.read(3, 1), 5_000_000_000, 1000.0)
    assert (told.at, told.latency_s, told.reason) == (997.0, 0.005, Reason.TLS_EXPIRED)
    assert (told.phases.connect_s, told.phases.tls_s, told.phases.first_byte_s) == (0.001, 0.002, None)


def test_of_a_pass_or_of_a_plain_failure_there_is_nothing_to_tell() -> None:
    assert known_failure(Outcome(phases=Phases(connect_s=0.001)), None, 1, 1) is None
    assert known_failure(Outcome.fail("no"), None, 1, 1) is None


def test_a_status_or_detail_beyond_what_is_kept_is_the_largest_there_is() -> None:
    seen = Seen()
    seen.answered(99_999, [])
    failure = known_failure(Outcome.fail(reason=Reason.HTTP_STATUS, detail=99_999), seen, 1, 1)
    assert failure is not None
    assert (failure["status"][0], failure["detail"][0]) == (0xFFFF, 0xFFFF)


def test_the_layout_is_as_large_as_the_core_writes_it() -> None:
    assert layout.FAILURE.itemsize == 40
