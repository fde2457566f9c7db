"""The product's two clocks and the reason codes, as Python sees them."""
from meshkit_fastprobe._native.core cimport fp_clock_latency, fp_clock_schedule, fp_reason_message, fp_reason_name


def schedule_ns() -> int:
    """Now on the scheduling clock (CLOCK_BOOTTIME), nanoseconds."""
    return fp_clock_schedule()


def latency_ns() -> int:
    """Now on the latency clock (CLOCK_MONOTONIC), nanoseconds."""
    return fp_clock_latency()


def reasons() -> list[tuple[int, str, str]]:
    """All reason codes of the core: number, name, what a person reads."""
    return [
        (number, fp_reason_name(number).decode(), fp_reason_message(number).decode())
        for number in range(256) if fp_reason_name(number) != NULL
    ]
