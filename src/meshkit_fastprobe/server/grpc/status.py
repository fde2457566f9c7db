"""How a call ends: the status codes of gRPC, what problems become there, and how long a caller waits."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Final
from urllib.parse import quote

from meshkit_fastprobe.server import problems
from meshkit_fastprobe.server.problems import Problem, ProblemKind


class Code(IntEnum):
    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


AS_HTTP: Final = {
    Code.OK: 200,
    Code.CANCELLED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 409,
    Code.ABORTED: 412,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.UNAUTHENTICATED: 401,
}
"""For logs and metrics, which tell all protocols alike."""

_OF_STATUS: Final = {
    400: Code.INVALID_ARGUMENT,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.NOT_FOUND,
    405: Code.UNIMPLEMENTED,
    409: Code.FAILED_PRECONDITION,
    412: Code.ABORTED,
    413: Code.RESOURCE_EXHAUSTED,
    421: Code.PERMISSION_DENIED,
    428: Code.FAILED_PRECONDITION,
    429: Code.RESOURCE_EXHAUSTED,
    503: Code.UNAVAILABLE,
}
_OF_KIND: Final[dict[ProblemKind, Code]] = {
    problems.DUPLICATE_EXPERIMENT: Code.ALREADY_EXISTS,
    problems.TOO_MANY_READERS: Code.RESOURCE_EXHAUSTED,
}

MAX_MESSAGE: Final = 1024
"""Characters of a message: it travels in a header."""
_UNITS_S: Final = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_timeout = re.compile(rb"([0-9]{1,8})([HMSmun])")


class CallError(Exception):
    """The call ends with this."""

    def __init__(self, code: Code, message: str, *, trailers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.trailers = trailers or {}


def good_no_longer() -> CallError:
    """For a stream whose caller is proven no more."""
    return CallError(Code.UNAUTHENTICATED, "what came with the call is good no longer; call again with what is")


def error_of(problem: Problem) -> CallError:
    """The same refusal, with the stable code of the problem and its hint beside the status."""
    code = _OF_KIND.get(problem.kind) or _OF_STATUS.get(problem.kind.status, Code.INTERNAL)
    trailers = {"meshkit-code": problem.kind.code, "meshkit-hint": problem.hint}
    if "retry-after" in problem.headers:
        trailers["retry-after"] = problem.headers["retry-after"]
    return CallError(code, problem.detail, trailers=trailers)


def trailers_of(code: Code, message: str = "", more: dict[str, str] | None = None) -> list[tuple[bytes, bytes]]:
    """What ends a call. Texts are percent-encoded, as the protocol wants its messages."""
    told = {"grpc-status": str(int(code))}
    if message:
        told["grpc-message"] = _printable(message)
    told |= {name: _printable(text) for name, text in (more or {}).items()}
    return [(name.encode("ascii"), text.encode("ascii")) for name, text in told.items()]


def _printable(text: str) -> str:
    return quote(text[:MAX_MESSAGE], safe="".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%"))


def timeout_s(values: list[bytes]) -> float | None:
    """How long the caller waits (grpc-timeout); None: it does not say. CallError for what is no time."""
    if not values:
        return None
    match = _timeout.fullmatch(values[0])
    if match is None or len(values) > 1:
        raise CallError(Code.INVALID_ARGUMENT, "grpc-timeout is no time: send up to eight digits and one of H M S m u n")
    return int(match[1]) * _UNITS_S[match[2].decode()]
