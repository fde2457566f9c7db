from collections.abc import Mapping, Sequence
from typing import final

from meshkit_fastprobe._native.datagram import DnsPlan, UdpPlan

@final
class HttpPlan:
    """A request and what is expected of its answer, shared by any number of targets."""

    def __new__(
        cls,
        *,
        method: str,
        path: str,
        headers: Mapping[str, str],
        status: Sequence[int],
        expect_headers: Mapping[str, str],
        body_contains: bytes,
        max_body: int,
        keep_alive: bool,
        idle_ms: int = 0,
    ) -> HttpPlan:
        """idle_ms: for how long a connection is kept without a run, 0 until the target ends it.

        ValueError, in words for a person, for what a request must not hold; expect_headers' names are in lower case.
        """

@final
class Route:
    """How packets leave this host; shared by any number of targets. Empty and 0 leave the choice to the kernel."""

    def __new__(cls, *, source: str = "", interface: str = "", mark: int = 0, tos: int = 0) -> Route:
        """source: an IP address. ValueError for what cannot be."""

@final
class Target:
    """A native target at a literal address; spent once it is handed to an engine."""

    @staticmethod
    def tcp(host: str, port: int, *, half: bool = False, route: Route | None = None) -> Target:
        """host: an IP address ("fe80::1%eth0" too), or the path of a unix socket ("@name" for an abstract one) with port 0.

        half ends the handshake with a reset instead of its last acknowledgement. ValueError for anything else.
        """
    @staticmethod
    def http(host: str, port: int, plan: HttpPlan, host_header: str, *, route: Route | None = None) -> Target:
        """The same, asked with the plan's request."""
    @staticmethod
    def udp(host: str, port: int, plan: UdpPlan, *, route: Route | None = None) -> Target:
        """An IP address, sent the plan's datagram. ValueError for anything else."""
    @staticmethod
    def dns(host: str, port: int, plan: DnsPlan, *, route: Route | None = None) -> Target:
        """An IP address, asked the plan's question. ValueError for anything else."""
    @staticmethod
    def icmp(host: str, payload_bytes: int, *, route: Route | None = None) -> Target:
        """An IP address, sent an echo request. ValueError for anything else, and for a payload that cannot be."""
    @staticmethod
    def unresolved(result: int, reason: int) -> Target:
        """Every run ends at once with this result (FAIL or ERROR) and reason."""
    @property
    def nbytes(self) -> int:
        """Bytes held in C memory; 0 once spent. Plans are shared and not counted."""
    def request(self) -> bytes:
        """What an HTTP target sends; empty for one that sends nothing. RuntimeError once spent."""
