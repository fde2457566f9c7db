from __future__ import annotations

import errno
import socket
import ssl

import pytest
import trio

from meshkit_fastprobe.model import Outcome, Reason, Result
from meshkit_fastprobe.probes.base import OurLimit
from meshkit_fastprobe.scheduling.outcomes import from_exception, from_return, own_limit


def test_none_passes_and_an_outcome_is_taken_as_it_is():
    said = Outcome.degraded("87% full")
    assert from_return(None).result is Result.OK
    assert from_return(said) is said


def test_anything_else_is_a_mistake_in_the_probe():
    outcome = from_return(True)
    assert outcome.result is Result.ERROR
    assert "bool" in outcome.message


@pytest.mark.parametrize(
    ("error", "result", "reason"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "no"), Result.FAIL, Reason.CONNECT_REFUSED),
        (OSError(errno.EHOSTUNREACH, "no"), Result.FAIL, Reason.CONNECT_UNREACHABLE),
        (ConnectionResetError(errno.ECONNRESET, "no"), Result.FAIL, Reason.CONNECT_RESET),
        (TimeoutError(), Result.TIMEOUT, Reason.TIMEOUT),
        (trio.TooSlowError(), Result.TIMEOUT, Reason.TIMEOUT),
        (TimeoutError(errno.ETIMEDOUT, "no"), Result.FAIL, Reason.CONNECT_TIMEOUT),
        (socket.gaierror(socket.EAI_NONAME, "no"), Result.FAIL, Reason.DNS_NXDOMAIN),
        (socket.gaierror(socket.EAI_AGAIN, "no"), Result.ERROR, Reason.DNS_FAILURE),
        (ssl.SSLError("no"), Result.FAIL, Reason.TLS_HANDSHAKE),
        (ValueError("password=hunter2"), Result.FAIL, Reason.EXCEPTION),
        (ExceptionGroup("of one", [ConnectionRefusedError(errno.ECONNREFUSED, "no")]), Result.FAIL, Reason.CONNECT_REFUSED),
    ],
)
def test_an_exception_fails_with_the_sharpest_reason_its_type_allows(error, result, reason):
    outcome = from_exception(error)
    assert (outcome.result, outcome.reason) == (result, reason)


def test_the_text_of_an_exception_is_not_shown_to_readers():
    assert "hunter2" not in from_exception(ValueError("password=hunter2")).message


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.EMFILE, "no"), Reason.DESCRIPTORS),
        (OSError(errno.ENFILE, "no"), Reason.DESCRIPTORS),
        (OSError(errno.ENOBUFS, "no"), Reason.MEMORY),
        (OSError(errno.ENOMEM, "no"), Reason.MEMORY),
        (OSError(errno.EADDRNOTAVAIL, "no"), Reason.PORTS),
        (OurLimit(Reason.SOURCE), Reason.SOURCE),
        (RuntimeError("can't start new thread"), Reason.SATURATED),
        (caused(OSError("all attempts failed"), ExceptionGroup("", [OSError(errno.EMFILE, "no")] * 2)), Reason.DESCRIPTORS),
        (caused(trio.BrokenResourceError("while sending"), OSError(errno.ENOBUFS, "no")), Reason.MEMORY),
        (ExceptionGroup("", [OSError(errno.EMFILE, "no"), ConnectionRefusedError(errno.ECONNREFUSED, "no")]), None),
        (ConnectionRefusedError(errno.ECONNREFUSED, "no"), None),
        (OSError("of no number"), None),
        (RuntimeError("anything else"), None),
    ],
)
def test_what_this_host_has_run_out_of_says_nothing_of_the_target(error, reason):
    assert own_limit(error) is reason
