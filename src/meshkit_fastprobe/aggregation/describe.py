"""What a person reads of a result that was not OK."""

from __future__ import annotations

import errno
from typing import Final

from meshkit_fastprobe._native.clock import reasons
from meshkit_fastprobe.model import Reason, Result

_MESSAGES: Final = {number: message for number, _, message in reasons()}
_WITH_ERRNO: Final = frozenset({Reason.CONNECT_FAILED, Reason.CONNECT_UNREACHABLE, Reason.UNSUPPORTED})
"""Reasons that gather several errors of the operating system: its name for the error says which."""


def describe(result: Result, reason: Reason, detail: int = 0) -> str:
    """The reason's message with its detail: "unexpected HTTP status 503". Empty for a plain pass."""
    if reason is Reason.NONE:
        return "" if result is Result.OK else result.name.lower()
    message = _MESSAGES[reason]
    if reason is Reason.HTTP_STATUS and detail:
        return f"{message} {detail}"
    if reason in _WITH_ERRNO and detail:
        return f"{message} ({errno.errorcode.get(detail, f'errno {detail}')})"
    return message
