"""What stands in a damaged file where a group's span should."""

import msgspec
import pytest

from meshkit_fastprobe.history import store
from meshkit_fastprobe.history.chunks import DamageError
from meshkit_fastprobe.history.spans import GroupSpan

SOUND = GroupSpan(60_000, 1, (0, 1, 0, 0, 0), (3, 0, 0, 0, 0), (0, 60_000, 0, 0, 0), 0, bytes([7, 215]), (1, 2))


def read(span):
    return store._decode_span(msgspec.msgpack.encode(span))


def test_a_span_is_read_as_it_was_written():
    assert read(SOUND) == SOUND


@pytest.mark.parametrize(
    "more",
    [{"buckets": bytes([7, 216])}, {"buckets": b"\x07"}, {"counts": (1, 2, 3)}, {"counts": (1, -2)}, {"counts": ()}],
)
def test_buckets_that_there_are_not_are_damage(more):
    with pytest.raises(DamageError):
        read(msgspec.structs.replace(SOUND, **more))
