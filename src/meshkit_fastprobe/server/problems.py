"""Errors as RFC 9457 problem details: every kind has a stable code, and every problem says what to do about it."""

from __future__ import annotations

from typing import Final

import msgspec

from meshkit_fastprobe.server.reply import Reply

MEDIA_TYPE: Final = "application/problem+json"


class ProblemKind(msgspec.Struct, frozen=True):
    code: str
    status: int
    title: str


UNAUTHENTICATED: Final = ProblemKind("unauthenticated", 401, "A valid token is needed")
HOST_REFUSED: Final = ProblemKind("host_refused", 421, "This server does not answer for that host name")
ORIGIN_REFUSED: Final = ProblemKind("origin_refused", 403, "Pages of other sites may not ask this server")
FORBIDDEN: Final = ProblemKind("forbidden", 403, "The principal may not do this")
TOO_OFTEN: Final = ProblemKind("too_often", 429, "The principal asks too often")
AUDIT_UNAVAILABLE: Final = ProblemKind("audit_unavailable", 503, "The audit record cannot be written")
INVALID_BODY: Final = ProblemKind("invalid_body", 400, "The body of the request cannot be used")
BODY_TOO_LARGE: Final = ProblemKind("body_too_large", 413, "The body of the request is too large")
UNKNOWN_TOGGLE: Final = ProblemKind("unknown_toggle", 404, "No toggle has this name")
TOGGLE_REFUSED: Final = ProblemKind("toggle_refused", 409, "The toggle cannot be changed so")
VERSION_NEEDED: Final = ProblemKind("version_needed", 428, "The change has to say what it is based on")
VERSION_MISMATCH: Final = ProblemKind("version_mismatch", 412, "It was changed by somebody else meanwhile")
NO_CHAOS: Final = ProblemKind("chaos_not_configured", 404, "This host knows no experiments")
UNKNOWN_EXPERIMENT: Final = ProblemKind("unknown_experiment", 404, "No experiment has this name")
UNKNOWN_RUN: Final = ProblemKind("unknown_run", 404, "No run has this name")
DUPLICATE_EXPERIMENT: Final = ProblemKind("duplicate_experiment", 409, "An experiment has this name already")
INVALID_EXPERIMENT: Final = ProblemKind("invalid_experiment", 400, "The experiment cannot be")
CHAOS_REFUSED: Final = ProblemKind("chaos_refused", 409, "The experiment may not run now")
CHAOS_WRONG_PHASE: Final = ProblemKind("chaos_wrong_phase", 409, "The experiment does not stand where this can be done")
CONFIRMATION_REFUSED: Final = ProblemKind("confirmation_refused", 403, "This does not confirm the plan")
CHAOS_UNAVAILABLE: Final = ProblemKind("chaos_unavailable", 503, "Nothing can be injected now")
HISTORY_UNAVAILABLE: Final = ProblemKind("history_unavailable", 503, "The past cannot be told")
NOT_FOUND: Final = ProblemKind("not_found", 404, "There is nothing at this path")
UNKNOWN_PROBE: Final = ProblemKind("unknown_probe", 404, "No probe has this name")
METHOD_NOT_ALLOWED: Final = ProblemKind("method_not_allowed", 405, "This path does not take that method")
UNKNOWN_PARAMETER: Final = ProblemKind("unknown_parameter", 400, "A query parameter is not known here")
INVALID_PARAMETER: Final = ProblemKind("invalid_parameter", 400, "A query parameter has an impossible value")
INVALID_PAGE_TOKEN: Final = ProblemKind("invalid_page_token", 400, "The page token cannot be used")
INVALID_CONFIGURATION: Final = ProblemKind("invalid_configuration", 409, "The configuration cannot be used")
TOO_MANY_READERS: Final = ProblemKind("too_many_readers", 503, "Too many follow the events of this host")
NOT_READY: Final = ProblemKind("not_ready", 503, "Probes are not being run yet, or no longer")
RUN_SKIPPED: Final = ProblemKind("run_skipped", 503, "The run did not happen")
GRPC_REFUSED: Final = ProblemKind("grpc_refused", 415, "This cannot be answered as gRPC")
INTERNAL: Final = ProblemKind("internal", 500, "Something went wrong on our side")

ALL: Final = (
    UNAUTHENTICATED,
    HOST_REFUSED,
    ORIGIN_REFUSED,
    FORBIDDEN,
    TOO_OFTEN,
    AUDIT_UNAVAILABLE,
    HISTORY_UNAVAILABLE,
    NOT_FOUND,
    UNKNOWN_PROBE,
    METHOD_NOT_ALLOWED,
    UNKNOWN_PARAMETER,
    INVALID_PARAMETER,
    INVALID_PAGE_TOKEN,
    INVALID_BODY,
    BODY_TOO_LARGE,
    NO_CHAOS,
    UNKNOWN_EXPERIMENT,
    UNKNOWN_RUN,
    DUPLICATE_EXPERIMENT,
    INVALID_EXPERIMENT,
    CHAOS_REFUSED,
    CHAOS_WRONG_PHASE,
    CONFIRMATION_REFUSED,
    CHAOS_UNAVAILABLE,
    UNKNOWN_TOGGLE,
    TOGGLE_REFUSED,
    VERSION_NEEDED,
    VERSION_MISMATCH,
    INVALID_CONFIGURATION,
    TOO_MANY_READERS,
    NOT_READY,
    RUN_SKIPPED,
    GRPC_REFUSED,
    INTERNAL,
)


class _Body(msgspec.Struct, omit_defaults=True):
    type: str
    title: str
    status: int
    code: str
    detail: str
    hint: str
    instance: str | None = None


class Problem(Exception):  # noqa: N818 - named as in the RFC
    """Raise it anywhere below a route; the reader gets the problem details."""

    def __init__(
        self, kind: ProblemKind, detail: str, hint: str, *, headers: dict[str, str] | None = None, instance: str | None = None
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.hint = hint
        self.headers = headers or {}
        self.instance = instance

    def reply(self) -> Reply:
        kind = self.kind
        body = _Body(
            f"urn:meshkit:problem:{kind.code}", kind.title, kind.status, kind.code, self.detail, self.hint, self.instance
        )
        return Reply(kind.status, MEDIA_TYPE, msgspec.json.encode(body), self.headers)
