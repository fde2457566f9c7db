import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from meshkit_fastprobe.aggregation.frames import Frame, Sparse, fold

WIDTH, GROUPS = 3, 4
counts = st.integers(0, 2**40)
tables = hnp.arrays(np.uint64, (GROUPS, WIDTH), elements=counts)


def dense(sparse, shape=(GROUPS, WIDTH)):
    out = np.zeros(shape, np.uint64)
    out.reshape(-1)[sparse.index] = sparse.count
    return out


@given(tables)
def test_sparse_keeps_every_cell_and_no_zero(table):
    sparse = Sparse.of(table)
    assert (dense(sparse) == table).all()
    assert sparse.count.all()


@given(tables, tables)
def test_a_difference_is_what_grew(before, growth):
    assert (dense(Sparse.difference(before + growth, before)) == growth).all()


@given(st.lists(tables, max_size=5))
def test_a_total_is_the_sum_of_its_parts(parts):
    expected = sum(parts, np.zeros((GROUPS, WIDTH), np.uint64))
    assert (dense(Sparse.total([Sparse.of(part) for part in parts])) == expected).all()


def frame(start_ns, end_ns, cell):
    counted = np.zeros((GROUPS, WIDTH), np.uint64)
    counted.reshape(-1)[cell] = 1
    return Frame(start_ns, end_ns, Sparse.of(counted), Sparse.of(counted))


def test_joined_frames_span_from_the_first_to_the_last():
    joined = Frame.join([frame(0, 5, 0), frame(5, 9, 1), frame(9, 20, 1)])
    assert (joined.start_ns, joined.end_ns) == (0, 20)
    assert dense(joined.buckets).reshape(-1)[:3].tolist() == [1, 2, 0]
    assert dense(joined.runs).sum() == 3


def test_a_single_frame_is_not_copied():
    alone = frame(0, 5, 0)
    assert Frame.join([alone]) is alone


@given(st.lists(tables, max_size=4), st.lists(st.integers(0, 2), min_size=GROUPS, max_size=GROUPS))
def test_folding_adds_each_group_to_its_row(parts, row_of_group):
    folded = fold([Sparse.of(part) for part in parts], np.array(row_of_group), 3, WIDTH)
    expected = np.zeros((3, WIDTH), np.uint64)
    for part in parts:
        for group, row in enumerate(row_of_group):
            expected[row] += part[group]
    assert folded.tolist() == expected.tolist()


def test_folding_nothing_gives_zeros():
    assert fold([], np.array([0, 1]), 2, WIDTH).tolist() == [[0] * WIDTH] * 2
