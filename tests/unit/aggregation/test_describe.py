import errno

import pytest

from meshkit_fastprobe._native.clock import reasons
from meshkit_fastprobe.aggregation.describe import describe
from meshkit_fastprobe.model import Reason, Result

MESSAGES = {number: words for number, _, words in reasons()}


def test_a_plain_pass_needs_no_words():
    assert describe(Result.OK, Reason.NONE) == ""


@pytest.mark.parametrize("result", [Result.DEGRADED, Result.FAIL, Result.TIMEOUT, Result.ERROR])
def test_a_result_without_a_reason_says_what_it_is(result):
    assert describe(result, Reason.NONE) == result.name.lower()


def test_a_status_is_told_with_its_number():
    assert describe(Result.FAIL, Reason.HTTP_STATUS, 503) == f"{MESSAGES[Reason.HTTP_STATUS]} 503"


def test_a_status_that_is_not_known_is_left_out():
    assert describe(Result.FAIL, Reason.HTTP_STATUS) == MESSAGES[Reason.HTTP_STATUS]


@pytest.mark.parametrize("reason", [Reason.CONNECT_FAILED, Reason.CONNECT_UNREACHABLE, Reason.UNSUPPORTED])
def test_reasons_that_gather_errors_of_the_system_name_the_one(reason):
    assert describe(Result.FAIL, reason, errno.EHOSTUNREACH) == f"{MESSAGES[reason]} (EHOSTUNREACH)"


def test_an_error_without_a_name_keeps_its_number():
    assert describe(Result.FAIL, Reason.CONNECT_FAILED, 60_000).endswith("(errno 60000)")


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.NONE], ids=str)
def test_every_reason_has_words(reason):
    assert describe(Result.FAIL, reason) == MESSAGES[reason] != ""
