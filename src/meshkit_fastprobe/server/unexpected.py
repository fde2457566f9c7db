"""What nobody foresaw: logged in full under an id; the reader gets the id alone."""

from __future__ import annotations

import logging
import secrets

from meshkit_fastprobe.server.problems import INTERNAL, Problem

log = logging.getLogger("meshkit_fastprobe.server")


def our_fault(where: str, error: Exception) -> Problem:
    error_id = secrets.token_hex(8)
    log.error("error %s in %s", error_id, where, exc_info=error)
    hint = f"the log of this host has it under {error_id}"
    return Problem(INTERNAL, "an unexpected error; it has been logged", hint, instance=f"urn:meshkit:error:{error_id}")
