"""The Cython wrapper: what it refuses, and what it makes of texts and strides. (The lines: native/tests/test_exposition.c.)"""

import numpy as np
import pytest

from meshkit_fastprobe._native.exposition import Buckets, Labels, Page, Rows, Series

ROWS = 4
IN_USE = np.ones(ROWS, np.uint32)
GROUP = np.zeros(ROWS, np.uint32)


@pytest.fixture
def labels():
    labels = Labels(ROWS)
    for row in range(ROWS):
        labels.put(row, 1, 0, (("probe", f"p{row}"),))
    return labels


def text_of(labels, series, page=None):
    page = page or Page(4096)
    assert page.series(Rows(labels, IN_USE, GROUP), series, 0, ROWS) == ROWS
    return page.take().decode()


def test_a_column_inside_wider_records_is_read_by_its_stride(labels):
    records = np.array([(7, 0.5), (8, 1.5), (9, 2.5), (10, np.nan)], [("runs", "<u4"), ("share", "<f8")])
    series = Series((b"r{", b"} ", records["runs"], None), (b"s{", b"} ", records["share"], None))
    assert text_of(labels, series).split("\n")[:4] == [
        'r{probe="p0"} 7',
        's{probe="p0"} 0.5',
        'r{probe="p1"} 8',
        's{probe="p1"} 1.5',
    ]
    assert 's{probe="p3"}' not in text_of(labels, series)


def test_columns_live_as_long_as_the_series(labels):
    series = Series((b"r{", b"} ", np.arange(ROWS, dtype=np.uint64) + 41, None))
    assert 'r{probe="p1"} 42\n' in text_of(labels, series)


def test_a_row_larger_than_the_page_makes_it_grow(labels):
    labels.put(0, 1, 0, (("probe", "x" * 5000),))
    page = Page(64)
    rows, series = Rows(labels, IN_USE, GROUP), Series((b"r{", b"} ", IN_USE, None))
    row, text = 0, b""
    while row < ROWS:
        row = page.series(rows, series, row, ROWS)
        text += page.take()
    assert page.capacity >= 5000
    assert text.count(b"\n") == ROWS


def test_lone_surrogates_are_shown_as_question_marks():
    labels = Labels(ROWS)
    labels.put(0, 1, 0, (("probe", "a\ud800b"),))
    assert text_of(labels, Series((b"r{", b"} ", IN_USE, None))) == 'r{probe="a?b"} 1\n'


def test_labels_of_rows_out_of_use_are_given_back(labels):
    full = labels.nbytes
    stale, end = labels.stale(np.zeros(ROWS, np.uint32), GROUP, 0, ROWS)
    assert (stale, end) == ([], ROWS)
    assert labels.nbytes < full
    assert labels.check() is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: Labels(0),
        lambda: Labels(ROWS).put(ROWS, 1, 0, ()),
        lambda: Labels(ROWS).put(0, 1, 0, (("a", "b"),) * 17),
        lambda: Labels(ROWS).stale(IN_USE, GROUP, 0, ROWS + 1),
        lambda: Page(0),
        Series,
        lambda: Series((b"", b"", IN_USE.astype(np.int64), None)),
        lambda: Series((b"", b"", np.ones((4, 8), np.uint32)[:, ::2], None)),
        lambda: Series((b"", b"", IN_USE, np.zeros(256, np.int16))),
        lambda: Series((b"", b"", IN_USE.astype(np.uint8), np.zeros(255, np.int16))),
        lambda: Buckets("h", [], np.ones((4, 8), np.float64), np.ones(4)),
        lambda: Buckets("h", [], np.ones((4, 8), np.uint32), np.ones(4, np.uint32)),
        lambda: Buckets("h", [("1", 0)] * 65, np.ones((4, 8), np.uint32), np.ones(4)),
        lambda: Buckets("h", [], np.ones((4, 8), np.uint32), np.ones(4), np.ones(4, np.uint8)),
        lambda: Page(64).series(Rows(Labels(ROWS), IN_USE, GROUP), Series((b"", b"", IN_USE[:2], None)), 0, ROWS),
    ],
)
def test_what_cannot_be_rendered_is_refused_before_c_sees_it(make):
    with pytest.raises(ValueError):
        make()
