# The one description of the C surface: what native/include/fastprobe/*.h declares. Contracts stand in the headers.
from libc.stdint cimport int16_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "<stdbool.h>":
    ctypedef bint c_bool "bool"

cdef extern from "<sys/socket.h>":
    ctypedef unsigned int socklen_t
    struct sockaddr:
        unsigned short sa_family
    struct sockaddr_storage:
        unsigned short ss_family

cdef extern from "fastprobe/base.h" nogil:
    ctypedef uint64_t fp_ns
    enum:
        FP_EVENT_DUE
        FP_EVENT_DEADLINE
    const uint64_t FP_NEVER
    ctypedef struct fp_record:
        uint32_t slot
        uint32_t generation
        fp_ns started_ns
        fp_ns latency_ns
        uint32_t lag_us
        uint16_t detail
        uint8_t result
        uint8_t reason
    const char *fp_reason_name(unsigned reason)
    const char *fp_reason_message(unsigned reason)

cdef extern from "fastprobe/clock.h" nogil:
    fp_ns fp_clock_schedule()
    fp_ns fp_clock_latency()

cdef extern from "fastprobe/wheel.h" nogil:
    ctypedef struct fp_wheel:
        pass
    ctypedef struct fp_expiry:
        uint32_t id
        uint32_t missed
        fp_ns due_ns
    int fp_wheel_new(fp_wheel **wheel, uint32_t capacity, fp_ns tick_ns, fp_ns now_ns)
    void fp_wheel_free(fp_wheel *wheel)
    int fp_wheel_arm(fp_wheel *wheel, uint32_t id, fp_ns due_ns, fp_ns interval_ns)
    void fp_wheel_cancel(fp_wheel *wheel, uint32_t id)
    bint fp_wheel_is_armed(const fp_wheel *wheel, uint32_t id)
    fp_ns fp_wheel_due(const fp_wheel *wheel, uint32_t id)
    fp_ns fp_wheel_interval(const fp_wheel *wheel, uint32_t id)
    fp_ns fp_wheel_next_due(const fp_wheel *wheel)
    uint32_t fp_wheel_expire(fp_wheel *wheel, fp_ns now_ns, fp_expiry *out, uint32_t size)
    uint32_t fp_wheel_armed_count(const fp_wheel *wheel)
    size_t fp_wheel_bytes(const fp_wheel *wheel)
    const char *fp_wheel_check(const fp_wheel *wheel)

cdef extern from "fastprobe/histogram.h" nogil:
    enum:
        FP_HIST_BUCKETS
        FP_HIST_COMPACT
    uint32_t fp_hist_bucket(fp_ns latency_ns)
    double fp_hist_upper_bound_s(uint32_t bucket)
    void fp_hist_merge(const uint16_t *rows, uint32_t n_rows, const uint32_t *order, const uint32_t *group_of_row,
                       const uint8_t *used, uint32_t n_groups, uint64_t *out)
    uint32_t fp_hist_place(uint32_t bucket, bint compact)
    uint32_t fp_hist_bucket_at(uint32_t place, bint compact)
    void fp_hist_quantiles(const uint64_t *rows, uint32_t n_rows, bint compact, const double *q, uint32_t n_q, double *out_s)

cdef extern from "fastprobe/table.h" nogil:
    enum:
        FP_RECENT
    ctypedef struct fp_table:
        pass
    ctypedef struct fp_recent:
        uint32_t at_cs
        float latency_s
        uint16_t detail
        uint8_t result
        uint8_t reason
    ctypedef struct fp_row:
        uint32_t generation
        uint32_t degraded_above_us
        uint32_t streaks
        uint8_t rise
        uint8_t fall
        uint8_t state
        uint8_t remembered
        uint8_t last_result
        uint8_t last_reason
        uint16_t last_detail
        uint8_t measured[2]
        uint16_t overflow
        uint32_t runs[5]
        uint32_t transitions
        double latency_sum_s
        fp_ns last_started_ns
    ctypedef struct fp_history:
        fp_recent recent[8]
        fp_ns since_ns
        uint32_t skipped
    ctypedef struct fp_columns:
        uint32_t *generation
        uint32_t *group
        uint32_t *interval_ms
        uint32_t *timeout_ms
        uint8_t *kind
        uint8_t *lane
        uint8_t *state
        uint8_t *used
        uint16_t *histogram
        uint32_t places
        fp_row *row
        fp_history *history
    ctypedef struct fp_probe_config:
        uint32_t group
        uint32_t interval_ms
        uint32_t timeout_ms
        uint32_t degraded_above_us
        uint8_t kind
        uint8_t lane
        uint8_t rise
        uint8_t fall
    ctypedef struct fp_transition:
        uint32_t slot
        uint32_t generation
        fp_ns at_ns
        uint8_t before "from"
        uint8_t after "to"
        uint8_t reason
        uint8_t result
        uint16_t detail
        uint16_t reserved
    ctypedef struct fp_totals:
        uint64_t runs[5]
        uint64_t passive
        uint64_t skipped[256]
        uint64_t transitions
        uint64_t stale_records
        uint64_t lag[216]
        double lag_sum_s
        double lag_max_s
    int fp_table_new(fp_table **table, uint32_t capacity, uint32_t group_capacity, bint compact)
    void fp_table_free(fp_table *table)
    int fp_table_add(fp_table *table, const fp_probe_config *config, fp_ns now_ns, uint32_t *slot, uint32_t *generation)
    int fp_table_remove(fp_table *table, uint32_t slot, uint32_t generation)
    int fp_table_configure(fp_table *table, uint32_t slot, uint32_t generation, const fp_probe_config *config)
    int fp_table_watch(fp_table *table, uint32_t slot, uint32_t generation, c_bool watched)
    int fp_table_pause(fp_table *table, uint32_t slot, uint32_t generation, fp_ns now_ns, c_bool paused)
    uint32_t fp_table_ingest(fp_table *table, const fp_record *records, uint32_t n, fp_transition *out)
    const fp_columns *fp_table_columns(const fp_table *table)
    const fp_totals *fp_table_totals(const fp_table *table)
    uint32_t fp_table_high_water(const fp_table *table)
    uint32_t fp_table_count(const fp_table *table)
    void fp_table_merge_groups(const fp_table *table, uint32_t n_groups, uint64_t *out_hist, uint64_t *out_runs)
    void fp_table_merge_sums(const fp_table *table, uint32_t n_groups, double *out_latency_s, uint64_t *out_transitions)
    const char *fp_table_check(const fp_table *table)

cdef extern from "fastprobe/exposition.h" nogil:
    ctypedef struct fp_text:
        const char *data
        size_t len
    ctypedef struct fp_labels:
        pass
    ctypedef struct fp_label:
        fp_text name
        fp_text value
    int fp_labels_new(fp_labels **labels, uint32_t rows)
    void fp_labels_free(fp_labels *labels)
    int fp_labels_put(fp_labels *labels, uint32_t row, uint32_t generation, uint32_t group, const fp_label *pairs,
                      uint32_t n)
    uint32_t fp_labels_stale(fp_labels *labels, const uint32_t *generation, const uint32_t *group, uint32_t *start,
                             uint32_t end, uint32_t *out, uint32_t n)
    size_t fp_labels_bytes(const fp_labels *labels)
    const char *fp_labels_check(const fp_labels *labels)
    ctypedef struct fp_rows:
        const fp_labels *labels
        const uint32_t *generation
        const uint32_t *group
    ctypedef struct fp_page:
        char *data
        size_t len
        size_t capacity
    enum fp_cell:
        FP_CELL_U8
        FP_CELL_U32
        FP_CELL_U64
        FP_CELL_F64
        FP_CELL_U16
    ctypedef struct fp_series:
        fp_text head
        fp_text tail
        const void *column
        fp_cell cell
        const int16_t *lookup
        size_t stride
    uint32_t fp_page_series(fp_page *page, const fp_rows *rows, const fp_series *series, uint32_t n_series, uint32_t start,
                            uint32_t end)
    ctypedef struct fp_buckets:
        fp_text bucket_head
        fp_text sum_head
        fp_text count_head
        const fp_text *edge_tails
        fp_text inf_tail
        fp_text tail
        const uint32_t *edges
        uint32_t n_edges
        uint32_t n_buckets
        const void *counts
        fp_cell cell
        const uint8_t *used
        const double *sum
        size_t sum_stride
    uint32_t fp_page_buckets(fp_page *page, const fp_rows *rows, const fp_buckets *buckets, uint32_t start, uint32_t end)

cdef extern from "fastprobe/ring.h" nogil:
    ctypedef struct fp_ring:
        pass
    int fp_ring_new(fp_ring **ring, uint32_t slots, uint32_t element_bytes)
    void fp_ring_free(fp_ring *ring)
    uint32_t fp_ring_push(fp_ring *ring, const void *elements, uint32_t n, c_bool count_drops)
    uint32_t fp_ring_pop(fp_ring *ring, void *out, uint32_t n)
    uint32_t fp_ring_size(const fp_ring *ring)
    uint64_t fp_ring_dropped(const fp_ring *ring)
    const char *fp_ring_check(const fp_ring *ring)

cdef extern from "fastprobe/http1.h" nogil:
    enum fp_http1_event:
        FP_HTTP1_MORE
        FP_HTTP1_STATUS
        FP_HTTP1_HEADER
        FP_HTTP1_HEADERS_END
        FP_HTTP1_BODY
        FP_HTTP1_DONE
        FP_HTTP1_BAD
        FP_HTTP1_TOO_LARGE
    ctypedef struct fp_http1:
        uint64_t remaining
        uint32_t header_bytes
        uint16_t status
        uint16_t value_len
        uint8_t name_len
        c_bool keep_alive
        c_bool value_cut
        char name[64]
        char value[256]
    void fp_http1_init(fp_http1 *parser, c_bool answer_to_head)
    int fp_http1_next(fp_http1 *parser, const char **data, size_t *len, const char **body, size_t *body_len)
    int fp_http1_eof(fp_http1 *parser)

cdef extern from "fastprobe/target.h" nogil:
    ctypedef struct fp_target:
        pass
    ctypedef struct fp_http_plan:
        pass
    ctypedef struct fp_http_header:
        const char *name
        const char *value
    ctypedef struct fp_http_plan_spec:
        const char *method
        const char *path
        const fp_http_header *headers
        uint32_t n_headers
        const uint16_t *status
        uint32_t n_status
        const fp_http_header *expect_headers
        uint32_t n_expect_headers
        const char *body_contains
        uint32_t body_contains_len
        uint32_t max_body, idle_ms
        c_bool keep_alive
    const char *fp_http_plan_problem(const fp_http_plan_spec *spec)
    int fp_http_plan_new(fp_http_plan **plan, const fp_http_plan_spec *spec)
    void fp_http_plan_release(fp_http_plan *plan)
    int fp_target_tcp(fp_target **target, const sockaddr *address, socklen_t address_len)
    int fp_target_http(fp_target **target, const sockaddr *address, socklen_t address_len, fp_http_plan *plan,
                       const char *host_header)
    ctypedef struct fp_route:
        pass
    ctypedef struct fp_route_spec:
        const sockaddr *source
        socklen_t source_len
        const char *interface
        uint32_t mark
        uint8_t tos
    int fp_route_new(fp_route **route, const fp_route_spec *spec)
    void fp_route_release(fp_route *route)
    int fp_target_route(fp_target *target, fp_route *route)
    void fp_target_half_handshake(fp_target *target)
    int fp_target_unresolved(fp_target **target, uint8_t result, uint8_t reason)
    void fp_target_free(fp_target *target)
    enum:
        FP_HTTP_REQUEST_MAX
    size_t fp_target_request(const fp_target *target, char *out, size_t size)
    size_t fp_target_bytes(const fp_target *target)

cdef extern from "fastprobe/datagram.h" nogil:
    ctypedef struct fp_bytes:
        const void *data
        uint32_t len
    enum:
        FP_DNS_QUERY_MAX
        FP_DNS_ANSWERS_MAX
        FP_UDP_REPLY_MAX
        FP_UDP_PAYLOAD_MAX
    ctypedef struct fp_udp_plan:
        pass
    ctypedef struct fp_udp_plan_spec:
        fp_bytes payload
        fp_bytes equals
        fp_bytes prefix
        fp_bytes contains
        uint32_t max_reply
    int fp_udp_plan_new(fp_udp_plan **plan, const fp_udp_plan_spec *spec)
    void fp_udp_plan_release(fp_udp_plan *plan)
    uint8_t fp_udp_judge(const fp_udp_plan *plan, const void *data, size_t whole)
    ctypedef struct fp_dns_plan:
        pass
    ctypedef struct fp_dns_plan_spec:
        fp_bytes name
        uint16_t type
        uint8_t rcode
        uint32_t min_answers
        uint32_t min_ttl_s
        const fp_bytes *answers
        uint32_t n_answers
    int fp_dns_plan_new(fp_dns_plan **plan, const fp_dns_plan_spec *spec)
    void fp_dns_plan_release(fp_dns_plan *plan)
    size_t fp_dns_query(const fp_dns_plan *plan, uint16_t id, uint8_t *out)
    enum fp_dns_reading:
        FP_DNS_STRAY
        FP_DNS_CUT
        FP_DNS_JUDGED
    ctypedef struct fp_dns_verdict:
        uint16_t detail
        uint8_t reason
    fp_dns_reading fp_dns_read(const fp_dns_plan *plan, uint16_t id, c_bool over_tcp, const uint8_t *data, size_t len,
                               fp_dns_verdict *verdict)
    int fp_target_udp(fp_target **target, const sockaddr *address, socklen_t address_len, fp_udp_plan *plan)
    int fp_target_dns(fp_target **target, const sockaddr *address, socklen_t address_len, fp_dns_plan *plan)
    int fp_target_icmp(fp_target **target, const sockaddr *address, socklen_t address_len, uint16_t payload_bytes)

cdef extern from "fastprobe/trace.h" nogil:
    enum:
        FP_TRACE_EXPLAINED
    const uint32_t FP_UNREACHED
    ctypedef struct fp_seen:
        sockaddr_storage local
        sockaddr_storage peer
        uint32_t head_len
        char head[4096]
    ctypedef struct fp_trace:
        uint32_t slot
        uint32_t generation
        fp_ns started_ns
        fp_ns latency_ns
        uint32_t lag_us
        uint16_t detail
        uint8_t result
        uint8_t reason
        uint32_t connect_us
        uint32_t first_byte_us
        uint32_t total_us
        uint32_t rtt_us
        uint32_t body_bytes
        uint16_t status
        uint8_t retransmissions
        uint8_t flags
        fp_seen *seen
    void fp_trace_free(fp_trace *trace)

cdef extern from "fastprobe/failures.h" nogil:
    enum:
        FP_FAILURES_KEPT
    ctypedef struct fp_failure:
        uint8_t flags
    ctypedef struct fp_failures:
        pass
    int fp_failures_new(fp_failures **failures, uint32_t capacity, uint32_t probes)
    void fp_failures_free(fp_failures *failures)
    void fp_failures_take_trace(fp_failures *failures, const fp_trace *trace)
    void fp_failures_take_records(fp_failures *failures, const fp_record *records, uint32_t n)
    void fp_failures_tell(fp_failures *failures, uint32_t slot, uint32_t generation, const fp_failure *failure)
    void fp_failures_forget(fp_failures *failures, uint32_t slot)
    uint32_t fp_failures_read(const fp_failures *failures, uint32_t slot, uint32_t generation, fp_failure *out)
    uint32_t fp_failures_probes(const fp_failures *failures)
    uint64_t fp_failures_evicted(const fp_failures *failures)
    const char *fp_failures_check(const fp_failures *failures)

cdef extern from "fastprobe/engine.h" nogil:
    enum:
        FP_RUN_EXPLAIN
    ctypedef struct fp_engine:
        pass
    ctypedef struct fp_engine_config:
        uint32_t capacity
        uint32_t connections
        uint32_t record_ring
        uint32_t command_ring
        uint32_t events_per_step
        fp_ns tick_ns
        fp_ns notify_ns
        c_bool manual_clock
        uint32_t groups, nice
    ctypedef struct fp_budget:
        uint32_t max_in_flight
        uint32_t weight
        fp_ns every_ns
        fp_ns burst_ns
    ctypedef struct fp_group_stats:
        uint64_t in_flight
        uint64_t waiting
        uint64_t waited
        uint64_t skipped_saturated
        uint64_t skipped_budget
    enum fp_command_op:
        FP_CMD_ADD
        FP_CMD_REMOVE
        FP_CMD_SCHEDULE
        FP_CMD_TARGET
        FP_CMD_RUN
        FP_CMD_FINISH
        FP_CMD_DEADLINE
        FP_CMD_DEFER
        FP_CMD_HASTEN
    ctypedef struct fp_command:
        uint8_t op
        uint8_t lane
        uint16_t flags
        uint32_t slot
        uint32_t generation
        uint32_t jitter_ms
        uint32_t group
        fp_ns due_ns
        fp_ns first_ns
        fp_ns interval_ns
        fp_ns timeout_ns
        fp_target *target
    ctypedef struct fp_engine_stats:
        uint64_t steps
        uint64_t expiries
        uint64_t runs_started
        uint64_t runs_finished
        uint64_t connections_opened
        uint64_t connections_reused
        uint64_t retries
        uint64_t in_flight
        uint64_t waiting
        uint64_t slots
        uint64_t records_dropped
        uint64_t commands_stale
        uint64_t clock_jumps
        uint64_t syn_retransmissions
        uint64_t traces_dropped
        uint64_t cpu_ns
        uint64_t stray_datagrams
    bint fp_engine_has_native_lane()
    int fp_engine_new(fp_engine **engine, const fp_engine_config *config, fp_ns now_ns)
    void fp_engine_free(fp_engine *engine)
    void fp_engine_budget(fp_engine *engine, uint32_t group, const fp_budget *budget)
    void fp_engine_group_stats_read(const fp_engine *engine, uint32_t group, fp_group_stats *out)
    int fp_engine_start(fp_engine *engine)
    int fp_engine_stop(fp_engine *engine)
    fp_ns fp_engine_step(fp_engine *engine, fp_ns now_ns)
    int fp_engine_wait(fp_engine *engine, fp_ns until_ns)
    int fp_engine_poll_fd(const fp_engine *engine)
    uint32_t fp_engine_post(fp_engine *engine, const fp_command *commands, uint32_t n)
    int fp_engine_notify_fd(const fp_engine *engine)
    uint32_t fp_engine_drain_traces(fp_engine *engine, fp_trace *out, uint32_t n)
    uint32_t fp_engine_drain(fp_engine *engine, fp_record *out, uint32_t n)
    void fp_engine_stats_read(const fp_engine *engine, fp_engine_stats *out)
    const char *fp_engine_check(const fp_engine *engine)

cdef extern from "fastprobe/echo.h" nogil:
    enum:
        FP_REASON_REPLY_MISMATCH
        FP_ECHO_HEADER
        FP_ECHO_PAYLOAD_MIN
        FP_ECHO_PAYLOAD_MAX
    enum fp_echo_reading:
        FP_ECHO_STRAY
        FP_ECHO_REPLY
        FP_ECHO_ERROR
    ctypedef struct fp_echo:
        uint16_t id
        uint16_t sequence
        uint32_t run
        uint32_t nonce
        uint16_t payload
    ctypedef struct fp_echo_answer:
        fp_echo echo
        c_bool intact
        uint8_t reason
        uint8_t code
        uint8_t to[16]
    size_t fp_echo_request(const fp_echo *echo, c_bool v6, uint8_t *out)
    fp_echo_reading fp_echo_read(c_bool v6, c_bool with_header, const uint8_t *data, size_t len, fp_echo_answer *answer)
