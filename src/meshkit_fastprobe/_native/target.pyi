from collections.abc import Mapping, Sequence

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
    ) -> HttpPlan: ...

class Target:
    """A native target at a literal address; spent once it is handed to an engine."""

    @staticmethod
    def tcp(host: str, port: int) -> Target:
        """host: an IP address, or the path of a unix socket with port 0. ValueError for anything else."""
    @staticmethod
    def http(host: str, port: int, plan: HttpPlan, host_header: str) -> Target: ...
    @staticmethod
    def unresolved(result: int, reason: int) -> Target:
        """Every run ends at once with this result and reason."""
    @property
    def nbytes(self) -> int:
        """Bytes held in C memory."""
