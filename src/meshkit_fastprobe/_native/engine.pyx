"""The C engine: commands down, records up."""
cimport cython
from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.mem cimport PyMem_RawFree, PyMem_RawRealloc
from libc.errno cimport EALREADY, EINVAL, EMFILE, ENOMEM
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memmove

from meshkit_fastprobe._native.core cimport (
    FP_CMD_ADD,
    FP_CMD_DEADLINE,
    FP_CMD_DEFER,
    FP_CMD_FINISH,
    FP_CMD_HASTEN,
    FP_CMD_REMOVE,
    FP_CMD_RUN,
    FP_CMD_SCHEDULE,
    FP_CMD_TARGET,
    FP_EVENT_DEADLINE,
    FP_EVENT_DUE,
    FP_NEVER,
    FP_RUN_EXPLAIN,
    FP_TRACE_EXPLAINED,
    fp_budget,
    fp_clock_schedule,
    fp_command,
    fp_engine,
    fp_engine_budget,
    fp_engine_check,
    fp_engine_config,
    fp_engine_drain,
    fp_engine_drain_traces,
    fp_engine_free,
    fp_engine_group_stats_read,
    fp_engine_has_native_lane,
    fp_engine_new,
    fp_engine_notify_fd,
    fp_engine_poll_fd,
    fp_engine_post,
    fp_engine_start,
    fp_engine_stats,
    fp_engine_stats_read,
    fp_engine_step,
    fp_engine_stop,
    fp_engine_wait,
    fp_failures_take_trace,
    fp_group_stats,
    fp_ns,
    fp_record,
    fp_target,
    fp_target_free,
    fp_trace,
    fp_trace_free,
    sockaddr,
    sockaddr_storage,
    socklen_t,
)
from meshkit_fastprobe._native.failures cimport Failures
from meshkit_fastprobe._native.target cimport Target

import os
from typing import Any

from meshkit_fastprobe._native.layout import RECORD
from meshkit_fastprobe.errors import CapacityError


NATIVE_LANE = bool(fp_engine_has_native_lane())


cdef enum:
    KEPT_COMMANDS = 4096
    TRACE_BATCH = 64


cdef inline fp_ns moment(int64_t ns) noexcept:
    return FP_NEVER if ns < 0 else <fp_ns>ns


cdef extern from "<netdb.h>" nogil:
    enum:
        NI_NUMERICHOST
        NI_NUMERICSERV
    int getnameinfo(const sockaddr *, socklen_t, char *, socklen_t, char *, socklen_t, int)

cdef extern from "<sys/socket.h>" nogil:
    enum:
        AF_INET
        AF_INET6


cdef str address_text(const sockaddr_storage *address):
    """host:port, [v6]:port; empty for what is neither."""
    cdef char host[64]
    cdef char port[8]
    if address.ss_family not in (AF_INET, AF_INET6):
        return ""
    if getnameinfo(<const sockaddr *>address, sizeof(sockaddr_storage), host, sizeof(host), port, sizeof(port),
                   NI_NUMERICHOST | NI_NUMERICSERV):
        return ""
    return f"[{host.decode()}]:{port.decode()}" if address.ss_family == AF_INET6 else f"{host.decode()}:{port.decode()}"


cdef dict trace_as_dict(const fp_trace *trace):
    told = {
        "slot": trace.slot,
        "generation": trace.generation,
        "started_ns": trace.started_ns,
        "latency_ns": trace.latency_ns,
        "lag_us": trace.lag_us,
        "detail": trace.detail,
        "result": trace.result,
        "reason": trace.reason,
        "connect_us": trace.connect_us,
        "first_byte_us": trace.first_byte_us,
        "total_us": trace.total_us,
        "rtt_us": trace.rtt_us,
        "body_bytes": trace.body_bytes,
        "status": trace.status,
        "retransmissions": trace.retransmissions,
        "flags": trace.flags,
        "local": "",
        "peer": "",
        "head": b"",
    }
    if trace.seen is not NULL:
        told["local"] = address_text(&trace.seen.local)
        told["peer"] = address_text(&trace.seen.peer)
        told["head"] = trace.seen.head[:trace.seen.head_len]
    return told


@cython.final
cdef class Engine:
    cdef fp_engine *_engine
    cdef fp_command *_gathered  # from _first to _first + _n
    cdef size_t _first
    cdef size_t _n
    cdef size_t _room
    cdef uint32_t _groups
    cdef readonly bint running

    def __cinit__(
        self,
        *,
        uint32_t capacity,
        uint32_t connections=1024,
        uint32_t record_ring=131072,
        uint32_t command_ring=16384,
        uint32_t events_per_step=64,
        uint64_t tick_ns=1_000_000,
        uint64_t notify_ns=5_000_000,
        bint manual_clock=False,
        int64_t now_ns=-1,
        uint32_t groups=1,
        uint32_t nice=0,
    ):
        cdef fp_engine_config config
        config.capacity = capacity
        config.connections = connections
        config.record_ring = record_ring
        config.command_ring = command_ring
        config.events_per_step = events_per_step
        config.tick_ns = tick_ns
        config.notify_ns = notify_ns
        config.manual_clock = manual_clock
        config.groups = groups
        config.nice = nice
        cdef int failed = fp_engine_new(&self._engine, &config, fp_clock_schedule() if now_ns < 0 else <fp_ns>now_ns)
        if failed == -ENOMEM:
            raise MemoryError
        if failed == -EMFILE:
            raise CapacityError("the engine needs three descriptors and none is left; raise the limit (ulimit -n)")
        if failed == -EINVAL:
            raise ValueError(
                "capacity, connections: at least 1; rings: a power of two; events_per_step: 1..64; tick_ns: 1000 or more; "
                "groups: at most 65,536"
            )
        if failed:
            raise OSError(-failed, os.strerror(-failed))
        self._groups = max(1, groups)

    def __dealloc__(self):
        if self._engine is not NULL:
            with nogil:
                fp_engine_free(self._engine)
        self._drop_gathered()

    cdef void _drop_gathered(self) noexcept:
        cdef size_t i
        for i in range(self._n):
            fp_target_free(self._gathered[self._first + i].target)
        PyMem_RawFree(self._gathered)
        self._gathered = NULL
        self._n = self._room = self._first = 0

    cdef fp_engine *_live(self) except NULL:
        if self._engine is NULL:
            raise RuntimeError("this engine is closed")
        return self._engine

    @property
    def notify_fd(self) -> int:
        """An eventfd, readable when records wait."""
        return fp_engine_notify_fd(self._live())

    @property
    def poll_fd(self) -> int:
        """Readable when step() has socket work."""
        return fp_engine_poll_fd(self._live())

    cdef int _refuse_group(self, uint32_t group) except -1:
        if group >= self._groups:
            raise ValueError(f"this engine has {self._groups} groups, and {group} is none of them")
        return 0

    def budget(
        self, uint32_t group, *, uint32_t max_in_flight=0, uint32_t weight=1, uint64_t every_ns=0, uint64_t burst_ns=0
    ) -> None:
        """Bound a group, before its first probe; 0 is no bound."""
        cdef fp_budget budget
        self._refuse_running()
        self._refuse_group(group)
        if not 1 <= weight <= 1000:
            raise ValueError("weight: 1..1000")
        budget.max_in_flight = max_in_flight
        budget.weight = weight
        budget.every_ns = every_ns
        budget.burst_ns = burst_ns
        fp_engine_budget(self._live(), group, &budget)

    def group_stats(self, uint32_t group) -> dict[str, int]:
        """Counters of fp_group_stats by name; each is current, together they are no snapshot."""
        cdef fp_group_stats stats
        self._refuse_group(group)
        fp_engine_group_stats_read(self._live(), group, &stats)
        return stats

    def start(self) -> None:
        """Run in a thread of its own."""
        cdef int failed = fp_engine_start(self._live())
        if failed == -EALREADY:
            raise RuntimeError("this engine is running already")
        if failed:
            raise OSError(-failed, os.strerror(-failed))
        self.running = True

    def stop(self) -> None:
        """Stop and join the thread; calm when it does not run. The GIL is released while waiting."""
        cdef fp_engine *engine = self._live()
        with nogil:
            fp_engine_stop(engine)
        self.running = False

    def close(self) -> None:
        """Stop and give back descriptors and memory, now and not when the last reference goes. Nothing works after it."""
        cdef fp_engine *engine = self._engine
        self._engine = NULL
        self.running = False
        with nogil:
            fp_engine_free(engine)
        self._drop_gathered()

    cdef int _refuse_running(self) except -1:
        if self.running:
            raise RuntimeError("the engine runs in its own thread: stop it first")
        return 0

    def step(self, uint64_t now_ns) -> int:
        """One bounded step; the time of the next deed, 0 for at once, -1 for none known."""
        cdef fp_ns next_ns
        cdef fp_engine *engine = self._live()
        self._refuse_running()
        with nogil:
            next_ns = fp_engine_step(engine, now_ns)
        return -1 if next_ns == FP_NEVER else next_ns

    def wait(self, int64_t until_ns) -> None:
        """Wait for sockets or commands, without the GIL."""
        cdef fp_ns until = moment(until_ns)
        cdef fp_engine *engine = self._live()
        self._refuse_running()
        with nogil:
            fp_engine_wait(engine, until)

    cdef fp_command *_gather(self, uint8_t op, uint32_t slot, uint32_t generation) except NULL:
        cdef size_t room
        cdef fp_command *moved
        cdef fp_command *command
        if self._first + self._n == self._room:
            if self._first > self._n:
                memmove(self._gathered, self._gathered + self._first, self._n * sizeof(fp_command))
            else:
                room = max(self._room * 2, <size_t>256)
                moved = <fp_command *>PyMem_RawRealloc(self._gathered, room * sizeof(fp_command))
                if moved is NULL:
                    raise MemoryError
                self._gathered = moved
                self._room = room
                memmove(self._gathered, self._gathered + self._first, self._n * sizeof(fp_command))
            self._first = 0
        command = &self._gathered[self._first + self._n]
        self._n += 1
        command.op = op
        command.lane = 0
        command.flags = 0
        command.slot = slot
        command.generation = generation
        command.jitter_ms = 0
        command.group = 0
        command.due_ns = command.first_ns = FP_NEVER
        command.interval_ns = command.timeout_ns = 0
        command.target = NULL
        return command

    def add(
        self,
        uint32_t slot,
        uint32_t generation,
        uint8_t lane,
        int64_t due_ns,
        uint64_t interval_ns,
        uint64_t timeout_ns,
        *,
        int64_t first_ns=-1,
        uint32_t jitter_ms=0,
        Target target=None,
        uint32_t group=0,
    ) -> None:
        """A slot appears; due_ns -1 registers it paused."""
        self._refuse_group(group)
        cdef fp_target *taken = target.take() if target is not None else NULL
        cdef fp_command *command = self._gather(FP_CMD_ADD, slot, generation)
        command.lane = lane
        command.due_ns = moment(due_ns)
        command.first_ns = moment(first_ns)
        command.interval_ns = interval_ns
        command.timeout_ns = timeout_ns
        command.jitter_ms = jitter_ms
        command.group = group
        command.target = taken

    def remove(self, uint32_t slot, uint32_t generation) -> None:
        """A slot disappears; a run in flight is abandoned without a record."""
        self._gather(FP_CMD_REMOVE, slot, generation)

    def schedule(
        self,
        uint32_t slot,
        uint32_t generation,
        int64_t due_ns,
        uint64_t interval_ns,
        uint64_t timeout_ns,
        *,
        uint32_t jitter_ms=0,
    ) -> None:
        """Change when; due_ns -1 pauses."""
        cdef fp_command *command = self._gather(FP_CMD_SCHEDULE, slot, generation)
        command.due_ns = moment(due_ns)
        command.interval_ns = interval_ns
        command.timeout_ns = timeout_ns
        command.jitter_ms = jitter_ms

    def retarget(self, uint32_t slot, uint32_t generation, Target target not None) -> None:
        """Replace the native target; a run in flight finishes on the old one."""
        cdef fp_target *taken = target.take()
        self._gather(FP_CMD_TARGET, slot, generation).target = taken

    def run(self, uint32_t slot, uint32_t generation, *, bint explain=False) -> None:
        """One run now, schedule untouched."""
        self._gather(FP_CMD_RUN, slot, generation).flags = FP_RUN_EXPLAIN if explain else 0

    def finish(self, uint32_t slot, uint32_t generation) -> None:
        """A Python lane's run is over."""
        self._gather(FP_CMD_FINISH, slot, generation)

    def deadline(self, uint32_t slot, uint32_t generation, int64_t due_ns) -> None:
        """(Re-)arm the deadline of a Python lane's run in flight."""
        self._gather(FP_CMD_DEADLINE, slot, generation).due_ns = moment(due_ns)

    def defer(self, uint32_t slot, uint32_t generation, uint64_t until_ns) -> None:
        """No scheduled run before until_ns: a real call has passed."""
        self._gather(FP_CMD_DEFER, slot, generation).due_ns = until_ns

    def hasten(self, uint32_t slot, uint32_t generation) -> None:
        """A run now, if none is on its way and none was hastened since the last due: a real call has failed."""
        self._gather(FP_CMD_HASTEN, slot, generation)

    def flush(self) -> int:
        """Post what was gathered; how many commands are still gathered."""
        cdef uint32_t taken
        if self._n:
            taken = fp_engine_post(self._live(), self._gathered + self._first, <uint32_t>min(self._n, <size_t>0xffffffff))
            self._n -= taken
            self._first = self._first + taken if self._n else 0
            if not self._n and self._room > KEPT_COMMANDS:  # a mass registration has passed: its memory goes back
                PyMem_RawFree(self._gathered)
                self._gathered = NULL
                self._room = 0
        return self._n

    def drain(self, out) -> int:
        """Take records (layout.RECORD) up to the length of out; clears the notification first."""
        cdef Py_buffer given
        if (out.dtype is not RECORD and out.dtype != RECORD) or not out.size:
            raise ValueError("out must be a non-empty array of layout.RECORD")
        # The plain buffer: a typed memoryview parses its format at each call, which costs more than taking a small batch.
        PyObject_GetBuffer(out, &given, PyBUF_WRITABLE | PyBUF_C_CONTIGUOUS)
        try:
            return fp_engine_drain(
                self._live(), <fp_record *>given.buf, <uint32_t>min(given.len // <Py_ssize_t>sizeof(fp_record), 0xffffffff)
            )
        finally:
            PyBuffer_Release(&given)

    def drain_traces(self, Failures failures not None) -> list[dict[str, Any]]:
        """Take the traces there are: failures are remembered, runs that were to be explained are returned."""
        cdef fp_trace traces[TRACE_BATCH]
        cdef uint32_t n = TRACE_BATCH, i
        explained = []
        while n == TRACE_BATCH:
            n = fp_engine_drain_traces(self._engine, traces, TRACE_BATCH)
            for i in range(n):
                fp_failures_take_trace(failures._failures, &traces[i])
                if traces[i].flags & FP_TRACE_EXPLAINED:
                    explained.append(trace_as_dict(&traces[i]))
                fp_trace_free(&traces[i])
        return explained

    def stats(self) -> dict[str, int]:
        """Counters of fp_engine_stats by name; each is current, together they are no snapshot."""
        cdef fp_engine_stats stats
        fp_engine_stats_read(self._live(), &stats)
        return stats

    def check(self) -> str | None:
        """None, or the first broken invariant. Only while not running."""
        cdef const char *broken
        self._refuse_running()
        broken = fp_engine_check(self._live())
        return None if broken is NULL else broken.decode()


def notices_of(records, uint32_t n) -> list[tuple[int, int, int, int, int]]:
    """Of the first n records (layout.RECORD) those for the lanes: (slot, generation, started_ns, detail, event), in order."""
    cdef Py_buffer taken
    cdef const fp_record *record
    cdef uint32_t i
    notices = []
    PyObject_GetBuffer(records, &taken, PyBUF_C_CONTIGUOUS)
    try:
        record = <const fp_record *>taken.buf
        for i in range(min(n, <uint32_t>(taken.len // <Py_ssize_t>sizeof(fp_record)))):
            if record[i].result == FP_EVENT_DUE or record[i].result == FP_EVENT_DEADLINE:
                notices.append(
                    (record[i].slot, record[i].generation, record[i].started_ns, record[i].detail, record[i].result)
                )
    finally:
        PyBuffer_Release(&taken)
    return notices
