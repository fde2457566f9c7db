def schedule_ns() -> int:
    """Now on the scheduling clock (CLOCK_BOOTTIME), nanoseconds."""

def latency_ns() -> int:
    """Now on the latency clock (CLOCK_MONOTONIC), nanoseconds."""

def reasons() -> list[tuple[int, str, str]]:
    """All reason codes of the core: number, name, what a person reads."""
