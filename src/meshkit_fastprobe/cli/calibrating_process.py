"""The process of `fastprobe calibrate`: it takes Asked and tells Told, both as JSON.

A process of its own, because it leaves this host's network for another. The kernel lets only a process without threads do that,
and importing NumPy starts some; so it comes first.
"""

from __future__ import annotations

import logging
import sys

import trio

from meshkit_fastprobe.chaos.outages import ByListening, ByNftables, Way, into_own_namespace


def main() -> None:
    why_not = into_own_namespace() if sys.argv[2:] == ["--namespace"] else "as asked"
    import msgspec

    from meshkit_fastprobe.cli.calibrating import Asked, calibrated

    logging.disable(logging.WARNING)
    way: Way = ByNftables() if why_not is None else ByListening()
    why = why_not or "a lease in a network of its own"
    told = trio.run(calibrated, msgspec.json.decode(sys.argv[1], type=Asked), way, why)
    sys.stdout.buffer.write(msgspec.json.encode(told))


if __name__ == "__main__":
    main()
