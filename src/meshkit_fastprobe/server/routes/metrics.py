"""/metrics, in the Prometheus text format or OpenMetrics."""

from __future__ import annotations

from typing import Final

from meshkit_fastprobe.server.context import Context, Request
from meshkit_fastprobe.server.negotiation import choose
from meshkit_fastprobe.server.query import TRUTH, word_of
from meshkit_fastprobe.server.reply import PagedReply
from meshkit_fastprobe.telemetry.exposition import OPENMETRICS, TEXT

_OFFERS: Final = ("text/plain", "application/openmetrics-text")


async def metrics(context: Context, request: Request) -> PagedReply:
    """?per_probe=false leaves the per-probe series out: for those whose Prometheus counts its series."""
    per_probe = request.query.one("per_probe", word_of("per_probe", TRUTH), context.per_probe_metrics)
    openmetrics = choose(request.accept, _OFFERS) == "application/openmetrics-text"
    pages = context.exposition.pages(openmetrics=openmetrics, per_probe=per_probe)
    return PagedReply(OPENMETRICS if openmetrics else TEXT, pages)
