"""Columns as Prometheus text, in pages of bounded size. Contracts: native/include/fastprobe/exposition.h."""
cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int16_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy

from meshkit_fastprobe._native.core cimport (
    FP_CELL_F64,
    FP_CELL_U16,
    FP_CELL_U32,
    FP_CELL_U64,
    FP_CELL_U8,
    fp_buckets,
    fp_cell,
    fp_label,
    fp_labels,
    fp_labels_bytes,
    fp_labels_check,
    fp_labels_free,
    fp_labels_new,
    fp_labels_put,
    fp_labels_stale,
    fp_page,
    fp_page_buckets,
    fp_page_series,
    fp_rows,
    fp_series,
    fp_text,
)

import numpy as np

cdef enum:
    MAX_PAIRS = 16
    MAX_EDGES = 64
    BATCH = 512


cdef fp_text text_of(bytes text) noexcept:
    cdef fp_text made
    made.data = PyBytes_AS_STRING(text)
    made.len = <size_t>PyBytes_GET_SIZE(text)
    return made


cdef fp_cell cell_of(array) except *:
    """The kind of number a column holds. Columns are one-dimensional, at any stride, or rows x buckets and contiguous."""
    if not array.flags.c_contiguous and (array.ndim != 1 or array.strides[0] <= 0):
        raise ValueError("a column is contiguous, or one-dimensional with a stride")
    kinds = {np.dtype(np.uint8): FP_CELL_U8, np.dtype(np.uint16): FP_CELL_U16,
             np.dtype(np.uint32): FP_CELL_U32, np.dtype(np.uint64): FP_CELL_U64,
             np.dtype(np.float64): FP_CELL_F64}
    try:
        return kinds[array.dtype]
    except KeyError:
        raise ValueError(f"a column of {array.dtype} cannot be rendered") from None


cdef const void *address_of(array) except NULL:
    return <const void *><size_t>array.__array_interface__["data"][0]


@cython.final
cdef class Labels:
    """The label texts of the rows of a table, escaped once."""

    cdef fp_labels *_labels
    cdef readonly uint32_t rows

    def __cinit__(self, uint32_t rows):
        cdef int error = fp_labels_new(&self._labels, rows)
        if error:
            if rows == 0:
                raise ValueError("labels are kept for at least one row")
            raise MemoryError
        self.rows = rows

    def __dealloc__(self):
        fp_labels_free(self._labels)

    def stale(self, const uint32_t[::1] generation, const uint32_t[::1] group, uint32_t start, uint32_t end) -> tuple:
        cdef uint32_t[BATCH] found
        cdef uint32_t n
        if end > self.rows or end > generation.shape[0] or end > group.shape[0]:
            raise ValueError(f"rows end at {self.rows}")
        if start >= end:
            return [], end
        n = fp_labels_stale(self._labels, &generation[0], &group[0], &start, end, found, BATCH)
        return [found[i] for i in range(n)], start

    def put(self, uint32_t row, uint32_t generation, uint32_t group, tuple pairs not None) -> None:
        cdef fp_label[MAX_PAIRS] labels
        cdef uint32_t n = 0
        if row >= self.rows:
            raise ValueError(f"rows end at {self.rows}")
        if len(pairs) > MAX_PAIRS:
            raise ValueError(f"a row has at most {MAX_PAIRS} labels")
        # Lone surrogates cannot travel as UTF-8: readers see a question mark, the scrape goes on.
        held = [(name.encode(), value.encode("utf-8", "replace")) for name, value in pairs]
        for name, value in held:
            labels[n].name = text_of(name)
            labels[n].value = text_of(value)
            n += 1
        if fp_labels_put(self._labels, row, generation, group, labels, n):
            raise MemoryError

    @property
    def nbytes(self) -> int:
        return fp_labels_bytes(self._labels)

    def check(self):
        cdef const char *broken = fp_labels_check(self._labels)
        return None if broken == NULL else broken.decode()


@cython.final
cdef class Rows:
    """Which rows are in use and whose labels they wear; holds the columns it was given."""

    cdef fp_rows _rows
    cdef readonly uint32_t length
    cdef object _held

    def __cinit__(self, Labels labels not None, const uint32_t[::1] generation not None, const uint32_t[::1] group not None):
        self.length = min(labels.rows, generation.shape[0], group.shape[0])
        if self.length == 0:
            raise ValueError("there is at least one row")
        self._rows.labels = labels._labels
        self._rows.generation = &generation[0]
        self._rows.group = &group[0]
        self._held = (labels, generation, group)


@cython.final
cdef class Series:
    """One line a row and column: (head, tail, column, lookup or None) each."""

    cdef fp_series *_series
    cdef uint32_t _n
    cdef readonly uint32_t length
    cdef object _held

    def __cinit__(self, *columns):
        cdef fp_series *series
        if not columns:
            raise ValueError("a family has at least one series")
        self._series = <fp_series *>calloc(len(columns), sizeof(fp_series))
        if self._series == NULL:
            raise MemoryError
        self._held = columns
        self.length = min(len(column) for _, _, column, _ in columns)
        for head, tail, column, lookup in columns:
            series = &self._series[self._n]
            series.head = text_of(head)
            series.tail = text_of(tail)
            series.column = address_of(column)
            series.cell = cell_of(column)
            series.stride = <size_t>column.strides[0]
            if lookup is not None:
                if series.cell != FP_CELL_U8 or lookup.dtype != np.int16 or lookup.shape != (256,):
                    raise ValueError("a lookup is 256 values of int16 for a column of bytes")
                series.lookup = <const int16_t *>address_of(lookup)
            self._n += 1

    def __dealloc__(self):
        free(self._series)


@cython.final
cdef class Buckets:
    """A histogram a row; edges: (le as text, number of the last bucket below it), ascending."""

    cdef fp_buckets _buckets
    cdef fp_text[MAX_EDGES] _tails
    cdef uint32_t[MAX_EDGES] _edges
    cdef readonly uint32_t length
    cdef object _held

    def __cinit__(self, name, edges, counts, sum_s, used=None):
        cdef uint32_t n = 0
        if len(edges) > MAX_EDGES:
            raise ValueError(f"a histogram has at most {MAX_EDGES} edges")
        texts = [f"{name}_bucket{{".encode(), f"{name}_sum{{".encode(), f"{name}_count{{".encode(), b',le="+Inf"} ', b"} "]
        tails = [f',le="{le}"}} '.encode() for le, _ in edges]
        self._held = (texts, tails, counts, sum_s, used)
        self.length = min(len(counts), len(sum_s), len(counts) if used is None else len(used))
        for text, (_, bucket) in zip(tails, edges, strict=True):
            self._tails[n] = text_of(text)
            self._edges[n] = bucket
            n += 1
        self._buckets.bucket_head = text_of(texts[0])
        self._buckets.sum_head = text_of(texts[1])
        self._buckets.count_head = text_of(texts[2])
        self._buckets.inf_tail = text_of(texts[3])
        self._buckets.tail = text_of(texts[4])
        self._buckets.edge_tails = self._tails
        self._buckets.edges = self._edges
        self._buckets.n_edges = n
        self._buckets.n_buckets = counts.shape[1]
        self._buckets.cell = cell_of(counts)
        if self._buckets.cell == FP_CELL_U8 or self._buckets.cell == FP_CELL_F64:
            raise ValueError("counters are uint16, uint32 or uint64")
        if cell_of(sum_s) != FP_CELL_F64:
            raise ValueError("sums are float64")
        self._buckets.counts = address_of(counts)
        self._buckets.sum = <const double *>address_of(sum_s)
        self._buckets.sum_stride = <size_t>sum_s.strides[0]
        if used is not None:
            if cell_of(used) != FP_CELL_U8 or used.shape[1:] != (2,) or counts.shape[1] > 255:
                raise ValueError("used holds two bytes a row, of at most 255 buckets")
            self._buckets.used = <const uint8_t *>address_of(used)


@cython.final
cdef class Page:
    """A bounded piece of text under construction. One row that is larger than the whole page makes it grow."""

    cdef fp_page _page

    def __cinit__(self, size_t capacity):
        if capacity == 0:
            raise ValueError("a page holds at least one byte")
        self._page.data = <char *>malloc(capacity)
        if self._page.data == NULL:
            raise MemoryError
        self._page.capacity = capacity

    def __dealloc__(self):
        free(self._page.data)

    def __len__(self) -> int:
        return self._page.len

    @property
    def capacity(self) -> int:
        return self._page.capacity

    def write(self, bytes text not None) -> None:
        cdef size_t size = <size_t>PyBytes_GET_SIZE(text)
        while self._page.capacity - self._page.len < size:
            self._grow()
        memcpy(self._page.data + self._page.len, PyBytes_AS_STRING(text), size)
        self._page.len += size

    def series(self, Rows rows not None, Series series not None, uint32_t start, uint32_t end) -> int:
        cdef uint32_t row = start
        if end > rows.length or end > series.length:
            raise ValueError("rows end before that")
        while row < end:
            with nogil:
                row = fp_page_series(&self._page, &rows._rows, series._series, series._n, row, end)
            if row == end or self._page.len:
                break
            self._grow()
        return row

    def buckets(self, Rows rows not None, Buckets buckets not None, uint32_t start, uint32_t end) -> int:
        cdef uint32_t row = start
        if end > rows.length or end > buckets.length:
            raise ValueError("rows end before that")
        while row < end:
            with nogil:
                row = fp_page_buckets(&self._page, &rows._rows, &buckets._buckets, row, end)
            if row == end or self._page.len:
                break
            self._grow()
        return row

    def take(self) -> bytes:
        taken = PyBytes_FromStringAndSize(self._page.data, <Py_ssize_t>self._page.len)
        self._page.len = 0
        return taken

    cdef int _grow(self) except -1:
        cdef char *data = <char *>realloc(self._page.data, 2 * self._page.capacity)
        if data == NULL:
            raise MemoryError
        self._page.data = data
        self._page.capacity *= 2
        return 0
