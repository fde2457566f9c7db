"""Times in states, beside walking through the changes of each probe by hand."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from meshkit_fastprobe._native.layout import TRANSITION
from meshkit_fastprobe.history.times import state_times

BEGIN, END = 1_000, 61_000
SLOTS = 4


def by_hand(start, moves, state, since):
    """moves: of one slot, in order. Up to `since` it was what the last of them says, and from then on `state`."""
    times, at, now = [0] * 5, BEGIN, start
    for moment, after in moves:
        times[now] += moment - at
        at, now = moment, after
    times[now] += since - at
    times[state] += END - since
    return times


@st.composite
def lives(draw):
    """For each slot: its first state, its changes, and perhaps a pause after them."""
    told = []
    for _ in range(SLOTS):
        moments = sorted(draw(st.lists(st.integers(BEGIN, END), max_size=5)))
        states = [draw(st.integers(0, 3))]
        for _ in moments:
            states.append(draw(st.integers(0, 3).filter(lambda state, last=states[-1]: state != last)))
        paused_at = draw(st.none() | st.integers(moments[-1] if moments else BEGIN, END))
        told.append((states, moments, paused_at))
    return told


@given(lives(), st.randoms())
def test_every_nanosecond_of_every_probe_is_told_once(told, random):
    rows, state, since, expected = [], [], [], []
    for slot, (states, moments, paused_at) in enumerate(told):
        changes = list(zip(moments, states[1:], strict=True))
        rows += [
            (slot, 1, at, before, after, 0, 0, 0, 0) for at, before, after in zip(moments, states, states[1:], strict=False)
        ]
        state.append(4 if paused_at is not None else states[-1])
        since.append(paused_at if paused_at is not None else moments[-1] if moments else 0)
        expected.append(by_hand(states[0], changes, state[-1], max(since[-1], BEGIN)))
    # In any order between probes; of one probe, equal moments stand as they came.
    random.shuffle(rows)
    rows.sort(key=lambda row: row[2])
    moves = np.array(rows, TRANSITION) if rows else np.zeros(0, TRANSITION)
    times = state_times(
        BEGIN,
        END,
        moves,
        before=np.array([states[0] for states, _, _ in told], np.uint8),
        state=np.array(state, np.uint8),
        since_ns=np.array(since, np.int64),
        fresh=np.zeros(SLOTS, np.bool_),
    )
    assert (times.sum(axis=1) == END - BEGIN).all()
    distinct = [slot for slot, (_, moments, _) in enumerate(told) if len(set(moments)) == len(moments)]
    assert [times[slot].tolist() for slot in distinct] == [expected[slot] for slot in distinct]


def test_a_probe_that_is_new_was_nothing_before():
    times = state_times(
        BEGIN,
        END,
        np.zeros(0, TRANSITION),
        before=np.zeros(1, np.uint8),
        state=np.array([1], np.uint8),
        since_ns=np.array([41_000], np.int64),
        fresh=np.ones(1, np.bool_),
    )
    assert times.tolist() == [[0, 20_000, 0, 0, 0]]
