"""Text formatting of /metrics, one family; the whole page against generate_latest is scenarios/exposition.py."""

from __future__ import annotations

import numpy as np

from meshkit_fastprobe._native.exposition import Labels, Page, Rows, Series

ROWS = 10_000
PAGE_BYTES = 4 << 20


def test_a_line_for_each_of_ten_thousand_rows(benchmark):
    generation = np.ones(ROWS, np.uint32)
    group = np.zeros(ROWS, np.uint32)
    labels = Labels(ROWS)
    for row in range(ROWS):
        labels.put(row, 1, 0, (("probe", f"tcp:10.0.0.1:{row}"), ("kind", "tcp"), ("cluster", "eu-1"), ("namespace", "edge")))
    rows = Rows(labels, generation, group)
    series = Series((b"meshkit_probe_transitions_total{", b"} ", np.arange(ROWS, dtype=np.uint32), None))
    page = Page(PAGE_BYTES)

    def render():
        assert page.series(rows, series, 0, ROWS) == ROWS
        return page.take()

    assert benchmark(render).count(b"\n") == ROWS
