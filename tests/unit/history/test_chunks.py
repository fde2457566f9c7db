"""Chunks come back as they went in, and merge as their sums."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe.history.chunks import (
    CHUNK,
    SAMPLES,
    STATE,
    WIDTH,
    Chunk,
    DamageError,
    decode,
    encode,
    merge,
    merge_latencies,
)


def chunk_of(seed, *, high=2**32, share=0.5):
    random = np.random.default_rng(seed)
    present = random.random(CHUNK) < share
    cells = random.integers(0, high, (WIDTH, CHUNK), dtype=np.uint64).astype(np.uint32)
    cells[:, ~present] = 0
    return Chunk(present, cells)


@given(st.integers(0, 2**32), st.sampled_from([1, 2, 256, 257, 65_536, 2**32]), st.sampled_from([0.0, 0.01, 0.5, 1.0]))
def test_a_chunk_comes_back_as_it_went_in(seed, high, share):
    chunk = chunk_of(seed, high=high, share=share)
    back = decode(encode(chunk))
    assert (back.present == chunk.present).all()
    assert (back.cells == chunk.cells).all()


def test_a_chunk_at_rest_is_small():
    chunk = Chunk.empty(WIDTH)
    chunk.present[:] = True
    chunk.cells[0], chunk.cells[6], chunk.cells[STATE] = 6, 60_000, 1
    assert len(encode(chunk)) < 64


def test_merging_adds_up_and_keeps_the_last_state():
    chunks = [chunk_of(seed, high=1000) for seed in range(5)]
    merged = merge(chunks)
    assert (merged.cells[:STATE] == sum(chunk.cells[:STATE].astype(np.uint64) for chunk in chunks)).all()
    for at in range(CHUNK):
        states = [chunk.cells[STATE, at] for chunk in chunks if chunk.present[at]]
        assert merged.cells[STATE, at] == (states[-1] if states else 0)


def test_of_two_parts_of_a_quarter_the_fuller_tells_the_quantiles():
    before, after = Chunk.empty(6), Chunk.empty(6)
    before.present[:2] = after.present[1:3] = True
    before.cells[:, :2], after.cells[:, 1:3] = 7, 9
    before.cells[SAMPLES, 1] = 100
    told = merge_latencies(before, after)
    assert told.cells[0, :4].tolist() == [7, 7, 9, 0]
    assert told.present[:4].tolist() == [True, True, True, False]


@given(st.binary(max_size=200))
def test_anything_else_is_damage(content):
    with pytest.raises(DamageError):
        decode(content)
