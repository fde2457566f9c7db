"""From what a callable did to an Outcome. Exception texts stay in the log: they may hold secrets, readers get the type."""

from __future__ import annotations

import errno
import socket
import ssl
from typing import Final

import trio

from meshkit_fastprobe.model import Outcome, Reason, Result
from meshkit_fastprobe.probes.base import OUR_LIMITS, OurLimit

PASSED: Final = Outcome()
TIMED_OUT: Final = Outcome(Result.TIMEOUT, Reason.TIMEOUT)

_BY_ERRNO: Final = {
    errno.ECONNREFUSED: Reason.CONNECT_REFUSED,
    errno.ECONNRESET: Reason.CONNECT_RESET,
    errno.ETIMEDOUT: Reason.CONNECT_TIMEOUT,
    errno.EHOSTUNREACH: Reason.CONNECT_UNREACHABLE,
    errno.ENETUNREACH: Reason.CONNECT_UNREACHABLE,
}
_BY_VERIFY_CODE: Final = {  # X509_V_ERR_*
    9: Reason.TLS_NOT_YET_VALID,
    10: Reason.TLS_EXPIRED,
    62: Reason.TLS_HOSTNAME,
    64: Reason.TLS_HOSTNAME,  # of an IP address
}


def timed_out(probe: object) -> Outcome:
    """What the passing of its timeout says of a probe: a kind that knows better than TIMEOUT has a `timed_out` of its own."""
    outcome = getattr(probe, "timed_out", TIMED_OUT)
    return outcome if isinstance(outcome, Outcome) else TIMED_OUT


def from_return(value: object) -> Outcome:
    """None passes, an Outcome is taken as it is, anything else is a mistake in the probe."""
    if value is None:
        return PASSED
    if isinstance(value, Outcome):
        return value
    return Outcome.error(f"returned {type(value).__name__}; return None or an Outcome")


def from_exception(error: BaseException) -> Outcome:  # noqa: PLR0911 - one return a sort of error is the table it is
    """A raised exception fails the probe, with the sharpest reason its type allows."""
    message = f"raised {type(error).__qualname__}"
    match error:
        case BaseExceptionGroup() if len(error.exceptions) == 1:
            return from_exception(error.exceptions[0])
        case ssl.SSLCertVerificationError():
            return Outcome.fail(message, reason=_certificate_reason(error))
        case ssl.SSLError():
            return Outcome.fail(message, reason=Reason.TLS_HANDSHAKE)
        case socket.gaierror():
            return from_gaierror(error)
        case trio.TooSlowError():
            return Outcome(Result.TIMEOUT, Reason.TIMEOUT, message)
        case TimeoutError() if error.errno is None:
            return Outcome(Result.TIMEOUT, Reason.TIMEOUT, message)
        case OSError() if error.errno in _BY_ERRNO:
            return Outcome.fail(message, reason=_BY_ERRNO[error.errno], detail=error.errno)
        case _:
            return Outcome.fail(message, reason=Reason.EXCEPTION)


def own_limit(error: BaseException) -> Reason | None:  # noqa: PLR0911 - one return a sort of error is the table it is
    """Why a check could not ask, when its exception says that this host's own limits kept it: nothing is known of the target.

    Of several attempts in a group, each must have met one; and who wraps the OSError of a system call names it as the cause.
    """
    match error:
        case OurLimit():
            return error.reason
        case BaseExceptionGroup():
            limits = [own_limit(one) for one in error.exceptions]
            return limits[0] if all(limits) else None
        case RuntimeError() if error.args == ("can't start new thread",):
            return Reason.SATURATED
        case OSError() if error.errno == errno.EADDRNOTAVAIL:
            return Reason.PORTS
        case OSError() if error.errno is not None:
            return OUR_LIMITS.get(error.errno)
        case OSError() | trio.BrokenResourceError() if error.__cause__ is not None:
            return own_limit(error.__cause__)
        case _:
            return None


def from_gaierror(error: socket.gaierror) -> Outcome:
    """NXDOMAIN is an answer about the target; anything else says only that we could not ask."""
    if error.errno in {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}:
        return Outcome(Result.FAIL, Reason.DNS_NXDOMAIN)
    return Outcome(Result.ERROR, Reason.DNS_FAILURE)


def _certificate_reason(error: ssl.SSLCertVerificationError) -> Reason:
    return _BY_VERIFY_CODE.get(error.verify_code, Reason.TLS_UNTRUSTED)
