"""The one table: C memory that NumPy sees without a copy. Contract: native/include/fastprobe/table.h."""
cimport cython
from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS,
    PyBUF_SIMPLE,
    PyBUF_WRITABLE,
    PyBuffer_FillInfo,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from libc.errno cimport EINVAL, ENOMEM, ENOSPC
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from meshkit_fastprobe._native.core cimport (
    FP_HIST_BUCKETS,
    FP_RECENT,
    fp_columns,
    fp_history,
    fp_ns,
    fp_probe_config,
    fp_recent,
    fp_record,
    fp_row,
    fp_table,
    fp_table_add,
    fp_table_check,
    fp_table_columns,
    fp_table_configure,
    fp_table_count,
    fp_table_free,
    fp_table_high_water,
    fp_table_ingest,
    fp_table_merge_groups,
    fp_table_merge_sums,
    fp_table_new,
    fp_table_pause,
    fp_table_remove,
    fp_table_totals,
    fp_table_watch,
    fp_totals,
    fp_transition,
)

import numpy as np

from meshkit_fastprobe._native.layout import RECENT, RECORD, TRANSITION
from meshkit_fastprobe.errors import CapacityError

cdef enum:
    RESULTS = 5
    MOST_RISE_FALL = 100

RESULT_NAMES = ("ok", "degraded", "fail", "timeout", "error")


cdef object struct_dtype(dict fields, size_t nbytes):
    return np.dtype(
        {
            "names": list(fields),
            "formats": [format for format, _ in fields.values()],
            "offsets": [offset for _, offset in fields.values()],
            "itemsize": nbytes,
        }
    )


cdef object row_dtype():
    """fp_row as NumPy sees it, from the compiler's own offsets."""
    cdef fp_row *row = NULL
    fields = {
        "degraded_above_us": ("<u4", <size_t>&row.degraded_above_us),
        "streaks": ("<u4", <size_t>&row.streaks),
        "rise": ("u1", <size_t>&row.rise),
        "fall": ("u1", <size_t>&row.fall),
        "remembered": ("u1", <size_t>&row.remembered),
        "last_result": ("u1", <size_t>&row.last_result),
        "last_reason": ("u1", <size_t>&row.last_reason),
        "last_detail": ("<u2", <size_t>&row.last_detail),
        "runs": (("<u4", (RESULTS,)), <size_t>&row.runs),
        "transitions": ("<u4", <size_t>&row.transitions),
        "latency_sum_s": ("<f8", <size_t>&row.latency_sum_s),
        "last_started_ns": ("<u8", <size_t>&row.last_started_ns),
    }
    return struct_dtype(fields, sizeof(fp_row))


cdef object history_dtype():
    """fp_history as NumPy sees it."""
    cdef fp_history *history = NULL
    fields = {
        "recent": ((RECENT, (FP_RECENT,)), <size_t>&history.recent),
        "since_ns": ("<u8", <size_t>&history.since_ns),
        "skipped": ("<u4", <size_t>&history.skipped),
    }
    return struct_dtype(fields, sizeof(fp_history))


ROW = row_dtype()
HISTORY = history_dtype()


@cython.final
@cython.internal
cdef class Memory:
    """A read-only stretch of a table's memory, which lives as long as anybody looks at it."""

    cdef Table _table
    cdef const void *_data
    cdef Py_ssize_t _nbytes

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, <void *>self._data, self._nbytes, 1, flags)


@cython.final
cdef class Table:
    """The one table: struct of arrays in C memory, NumPy views without a copy, read-only to callers.

    Of one thread, trio's; nothing here lets go of the GIL. Batches take well under a millisecond, and a thread that lets go may
    wait five to have it back.
    """

    cdef fp_table *_table
    cdef readonly uint32_t capacity
    cdef readonly uint32_t groups
    cdef readonly bint compact

    def __cinit__(self, uint32_t capacity, uint32_t groups, *, bint compact=False):
        cdef int error = fp_table_new(&self._table, capacity, groups, compact)
        if error == -EINVAL:
            raise ValueError(f"a table of {capacity} slots, {groups} groups: at least one of each, 2**30 slots, 2**24 groups")
        if error == -ENOMEM:
            raise MemoryError(f"no address space for a table of {capacity} slots and {groups} groups")
        assert error == 0, error
        self.capacity = capacity
        self.groups = groups
        self.compact = compact

    def __dealloc__(self):
        fp_table_free(self._table)

    cdef int _take(
        self, fp_probe_config *config, uint32_t group, uint32_t interval_ms, uint32_t timeout_ms, uint32_t degraded_above_us,
        uint8_t kind, uint8_t lane, int rise, int fall,
    ) except -1:
        if group >= self.groups:
            raise ValueError(f"group {group} of a table of {self.groups}")
        if not (1 <= rise <= MOST_RISE_FALL and 1 <= fall <= MOST_RISE_FALL):
            raise ValueError(f"rise {rise}, fall {fall}: each is 1 to {MOST_RISE_FALL}")
        config[0] = fp_probe_config(
            group=group,
            interval_ms=interval_ms,
            timeout_ms=timeout_ms,
            degraded_above_us=degraded_above_us,
            kind=kind,
            lane=lane,
            rise=<uint8_t>rise,
            fall=<uint8_t>fall,
        )
        return 0

    def add(
        self,
        uint32_t group,
        uint32_t interval_ms,
        uint32_t timeout_ms,
        uint32_t degraded_above_us,
        uint8_t kind,
        uint8_t lane,
        int rise,
        int fall,
        fp_ns now_ns,
    ):
        """A slot and its generation. CapacityError when the table is full."""
        cdef fp_probe_config config
        cdef uint32_t slot, generation
        cdef int error
        self._take(&config, group, interval_ms, timeout_ms, degraded_above_us, kind, lane, rise, fall)
        error = fp_table_add(self._table, &config, now_ns, &slot, &generation)
        if error == -ENOSPC:
            raise CapacityError(f"{self.capacity} probes are registered, which is the bound; raise Settings.max_probes")
        assert error == 0, error
        return slot, generation

    def remove(self, uint32_t slot, uint32_t generation):
        """False when that generation is gone already."""
        return fp_table_remove(self._table, slot, generation) == 0

    def configure(
        self,
        uint32_t slot,
        uint32_t generation,
        uint32_t group,
        uint32_t interval_ms,
        uint32_t timeout_ms,
        uint32_t degraded_above_us,
        uint8_t kind,
        uint8_t lane,
        int rise,
        int fall,
    ):
        """Change the settings of a probe, which keeps its state and counters. False when that generation is gone."""
        cdef fp_probe_config config
        self._take(&config, group, interval_ms, timeout_ms, degraded_above_us, kind, lane, rise, fall)
        return fp_table_configure(self._table, slot, generation, &config) == 0

    def watch(self, uint32_t slot, uint32_t generation, bint watched) -> bool:
        """Whether ingest tells of this probe too when a change begins to be pending, or no longer is; False: it is gone."""
        return fp_table_watch(self._table, slot, generation, watched) == 0

    def pause(self, uint32_t slot, uint32_t generation, fp_ns now_ns, bint paused):
        """Pause, or back to UNKNOWN with clean streaks. False when that generation is gone."""
        return fp_table_pause(self._table, slot, generation, now_ns, paused) == 0

    def ingest(self, records, uint32_t n, out):
        """Take the first n records; transitions go to out (layout.TRANSITION, at least n long); how many there are."""
        cdef Py_buffer taken, given
        cdef uint32_t moved
        if (records.dtype is not RECORD and records.dtype != RECORD) or (
            out.dtype is not TRANSITION and out.dtype != TRANSITION
        ):
            raise ValueError(f"ingest takes RECORD and gives TRANSITION, not {records.dtype} and {out.dtype}")
        # The plain buffer: a typed memoryview of a struct parses its format at each call, which costs more than a small batch.
        PyObject_GetBuffer(records, &taken, PyBUF_SIMPLE)
        try:
            PyObject_GetBuffer(out, &given, PyBUF_WRITABLE | PyBUF_C_CONTIGUOUS)
            try:
                if <size_t>taken.len // sizeof(fp_record) < n or <size_t>given.len // sizeof(fp_transition) < n:
                    raise ValueError(f"{n} records need that many records and room for as many transitions")
                moved = fp_table_ingest(self._table, <const fp_record *>taken.buf, n, <fp_transition *>given.buf)
            finally:
                PyBuffer_Release(&given)
        finally:
            PyBuffer_Release(&taken)
        return moved

    cdef object _view(self, const void *data, dtype):
        cdef Memory memory = Memory.__new__(Memory)
        memory._table = self
        memory._data = data
        memory._nbytes = <Py_ssize_t>self.capacity * dtype.itemsize
        return np.frombuffer(memory, dtype)

    def column(self, str name not None):
        """A read-only view of one column over all `capacity` slots; histogram, used, runs and recent have a row a slot."""
        cdef const fp_columns *columns = fp_table_columns(self._table)
        cdef fp_row *row = columns.row
        if name == "generation":
            return self._view(columns.generation, np.dtype(np.uint32))
        if name == "group":
            return self._view(columns.group, np.dtype(np.uint32))
        if name == "interval_ms":
            return self._view(columns.interval_ms, np.dtype(np.uint32))
        if name == "timeout_ms":
            return self._view(columns.timeout_ms, np.dtype(np.uint32))
        if name == "kind":
            return self._view(columns.kind, np.dtype(np.uint8))
        if name == "lane":
            return self._view(columns.lane, np.dtype(np.uint8))
        if name == "state":
            return self._view(columns.state, np.dtype(np.uint8))
        if name == "used":
            return self._view(columns.used, np.dtype((np.uint8, 2)))
        if name == "histogram":
            return self._view(columns.histogram, np.dtype((np.uint16, columns.places)))
        rows = self._view(row, ROW)
        if name == "row":
            return rows
        result = name.removeprefix("runs_")
        if result != name and result in RESULT_NAMES:
            return rows["runs"][:, RESULT_NAMES.index(result)]
        if name in ROW.names:
            return rows[name]
        if name in HISTORY.names:
            return self._view(columns.history, HISTORY)[name]
        raise KeyError(f"no column is named {name!r}")

    def totals(self):
        """runs[5], passive, skipped[256], transitions, stale_records, lag[216], lag_sum_s, lag_max_s: copies."""
        cdef fp_totals *totals = <fp_totals *>fp_table_totals(self._table)  # Cython views know no const; copied at once
        return {
            "runs": np.array(<uint64_t[:RESULTS]>totals.runs),
            "passive": totals.passive,
            "skipped": np.array(<uint64_t[:256]>totals.skipped),
            "transitions": totals.transitions,
            "stale_records": totals.stale_records,
            "lag": np.array(<uint64_t[:FP_HIST_BUCKETS]>totals.lag),
            "lag_sum_s": totals.lag_sum_s,
            "lag_max_s": totals.lag_max_s,
        }

    @property
    def high_water(self):
        """Slots [0, this) have been used at some time: scan no further."""
        return fp_table_high_water(self._table)

    @property
    def count(self):
        return fp_table_count(self._table)

    def merge_groups(self, uint32_t n_groups, uint64_t[:, ::1] out_hist not None, uint64_t[:, ::1] out_runs not None):
        """Cumulative sums per base group: out_hist (n_groups, 216), out_runs (n_groups, 5); overwritten."""
        if n_groups > self.groups:
            raise ValueError(f"{n_groups} groups of a table of {self.groups}")
        if out_hist.shape[0] < n_groups or out_hist.shape[1] != FP_HIST_BUCKETS:
            raise ValueError(f"histograms of {n_groups} groups are {n_groups} x {FP_HIST_BUCKETS} values")
        if out_runs.shape[0] < n_groups or out_runs.shape[1] != RESULTS:
            raise ValueError(f"runs of {n_groups} groups are {n_groups} x {RESULTS} values")
        if n_groups:
            fp_table_merge_groups(self._table, n_groups, &out_hist[0, 0], &out_runs[0, 0])

    def merge_sums(self, uint32_t n_groups, double[::1] out_latency_s not None, uint64_t[::1] out_transitions not None):
        """Cumulative sums per base group, removed probes included: seconds of latency and transitions; overwritten."""
        if n_groups > self.groups:
            raise ValueError(f"{n_groups} groups of a table of {self.groups}")
        if out_latency_s.shape[0] < n_groups or out_transitions.shape[0] < n_groups:
            raise ValueError(f"sums of {n_groups} groups are {n_groups} values each")
        if n_groups:
            fp_table_merge_sums(self._table, n_groups, &out_latency_s[0], &out_transitions[0])

    def recent(self, uint32_t slot):
        """A copy of the remembered results of one slot (layout.RECENT), oldest first."""
        cdef const fp_columns *columns = fp_table_columns(self._table)
        if slot >= self.capacity:
            raise IndexError(f"slot {slot} of a table of {self.capacity}")
        cdef uint8_t remembered = columns.row[slot].remembered
        ring = np.frombuffer((<const char *>columns.history[slot].recent)[:sizeof(fp_recent) * FP_RECENT], RECENT)
        if remembered < FP_RECENT:
            return ring[:remembered].copy()
        return np.roll(ring, -<int>(remembered % FP_RECENT))

    def check(self):
        """None, or the name of the first broken invariant. Walks everything: for tests."""
        cdef const char *broken = fp_table_check(self._table)
        return None if broken == NULL else broken.decode()
