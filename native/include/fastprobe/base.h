/* base.h - words shared by every structure of the core.
 *
 * Reading order of this library: base, clock, wheel, histogram, table, ring, http1, target, datagram, echo, trace, engine.
 *
 * House rules
 *   - Functions return 0 or a negative errno. Mistakes of the caller (a null handle, an id out of range) are asserted: they are
 *     bugs. Weather (a full ring, a refused connection) is returned or recorded.
 *   - Time is an argument: nanoseconds on a clock that never runs backwards. Nothing in here reads a clock but clock.h.
 *   - Memory is taken once, in fp_x_new(). Large arrays are reserved address space whose pages cost nothing until touched.
 *   - fp_x_check() returns NULL, or the name of the first broken invariant. Tests call it after every random step.
 */
#ifndef FASTPROBE_BASE_H
#define FASTPROBE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Without epoll (other systems, or asked for at build time) the engine has no native lane: see engine.h. */
#if !defined(__linux__) && !defined(FP_NO_EPOLL)
#define FP_NO_EPOLL
#endif

typedef uint64_t fp_ns;
#define FP_NEVER     UINT64_MAX
#define FP_NS_PER_US 1000ULL
#define FP_NS_PER_MS 1000000ULL
#define FP_NS_PER_S  1000000000ULL

/* What one run of a probe came to. Everything above FP_ERROR in fp_record.result is an event, not a result. */
enum fp_result {
    FP_OK = 0,
    FP_DEGRADED = 1,
    FP_FAIL = 2,
    FP_TIMEOUT = 3,
    FP_ERROR = 4, /* the probe itself could not tell (an exception in a callable, a name that could not be looked up) */
    FP_RESULTS = 5,

    FP_EVENT_DUE = 16,      /* a task- or thread-lane probe should start; started_ns holds when it was due */
    FP_EVENT_DEADLINE = 17, /* its timeout, counted from the notice, has passed: a hint, the lane decides */
    FP_EVENT_SKIPPED = 18,  /* runs that did not happen: reason says why, detail how many (saturating) */
};

enum fp_state { FP_UNKNOWN = 0, FP_HEALTHY = 1, FP_DEGRADED_STATE = 2, FP_UNHEALTHY = 3, FP_PAUSED = 4, FP_STATES = 5 };

enum fp_lane { FP_LANE_NATIVE = 0, FP_LANE_TASK = 1, FP_LANE_THREAD = 2, FP_LANE_PASSIVE = 3, FP_LANES = 4 };

/* X(number, c_name, python_and_json_name, what a person reads). Numbers are part of the wire format: never reuse one. */
#define FP_REASONS(X)                                                                                                          \
    X(0, NONE, "none", "passed")                                                                                               \
    X(1, CONNECT_REFUSED, "connect_refused", "connection refused")                                                             \
    X(2, CONNECT_TIMEOUT, "connect_timeout", "no answer to the connection request in time")                                    \
    X(3, CONNECT_RESET, "connect_reset", "connection reset while connecting")                                                  \
    X(4, CONNECT_UNREACHABLE, "connect_unreachable", "no route to the host or network")                                        \
    X(5, CONNECT_FAILED, "connect_failed", "connection failed")                                                                \
    X(10, DNS_NXDOMAIN, "dns_nxdomain", "the name does not exist")                                                             \
    X(11, DNS_TIMEOUT, "dns_timeout", "the name server did not answer in time")                                                \
    X(12, DNS_FAILURE, "dns_failure", "the name could not be resolved")                                                        \
    X(13, DNS_MISMATCH, "dns_mismatch", "the name server's answer is not the expected one")                                    \
    X(14, DNS_PROTOCOL, "dns_protocol", "the name server's answer is malformed")                                               \
    X(15, DNS_TTL, "dns_ttl", "an answer lives shorter than expected")                                                         \
    X(20, TLS_HANDSHAKE, "tls_handshake", "TLS handshake failed")                                                              \
    X(21, TLS_UNTRUSTED, "tls_untrusted", "the certificate chain is not trusted")                                              \
    X(22, TLS_HOSTNAME, "tls_hostname", "the certificate is for another name")                                                 \
    X(23, TLS_EXPIRED, "tls_expired", "the certificate has expired")                                                           \
    X(24, TLS_EXPIRING, "tls_expiring", "the certificate expires soon")                                                        \
    X(25, TLS_VERSION, "tls_version", "the target speaks no TLS version that is accepted")                                     \
    X(26, TLS_ALPN, "tls_alpn", "no expected application protocol was agreed on")                                              \
    X(27, TLS_CLIENT_CERTIFICATE, "tls_client_certificate", "the target refuses our certificate, or wants one")                \
    X(28, TLS_NOT_YET_VALID, "tls_not_yet_valid", "the certificate is not valid yet")                                          \
    X(29, TLS_FILES, "tls_files", "certificate or key files of this host cannot be used")                                      \
    X(30, HTTP_STATUS, "http_status", "unexpected HTTP status")                                                                \
    X(31, HTTP_PROTOCOL, "http_protocol", "malformed HTTP response")                                                           \
    X(32, HTTP_HEADER_LIMIT, "http_header_limit", "response headers larger than the limit")                                    \
    X(33, HTTP_BODY_LIMIT, "http_body_limit", "response body larger than the limit")                                           \
    X(34, HEADER_MISMATCH, "header_mismatch", "an expected header is missing or different")                                    \
    X(35, BODY_MISMATCH, "body_mismatch", "the body does not contain what is expected")                                        \
    X(36, RESPONSE_TIMEOUT, "response_timeout", "connected, but no complete answer in time")                                   \
    X(37, RESPONSE_CLOSED, "response_closed", "connection closed before the answer was whole")                                 \
    X(38, RESPONSE_RESET, "response_reset", "connection reset before the answer was whole")                                    \
    X(39, REPLY_MISMATCH, "reply_mismatch", "the reply is not the expected one")                                               \
    X(40, REPLY_LIMIT, "reply_limit", "the reply is larger than the limit")                                                    \
    X(50, SLOW, "slow", "passed, but slower than degraded_above")                                                              \
    X(51, TIMEOUT, "timeout", "did not finish in time")                                                                        \
    X(52, EXCEPTION, "exception", "the probe raised an exception")                                                             \
    X(53, REPORTED, "reported", "reported by the caller")                                                                      \
    X(54, UNSUPPORTED, "unsupported", "this probe cannot run on this host")                                                    \
    X(60, HTTP_REDIRECT, "http_redirect", "redirected further than is followed")                                               \
    X(61, HTTP_DOWNGRADE, "http_downgrade", "passed, but not over the HTTP version that was asked for")                        \
    X(62, GRPC_STATUS, "grpc_status", "the call ended with an error status")                                                   \
    X(63, GRPC_NOT_SERVING, "grpc_not_serving", "the service says that it is not serving")                                     \
    X(64, GRPC_UNKNOWN_SERVICE, "grpc_unknown_service", "the target does not know the service")                                \
    X(65, GRPC_PROTOCOL, "grpc_protocol", "malformed gRPC response")                                                           \
    X(66, STREAM_SILENT, "stream_silent", "the stream stands, but nothing came in time")                                       \
    X(67, STREAM_RESUME, "stream_resume", "the stream did not resume where it ended")                                          \
    X(70, EXEC_STATUS, "exec_status", "the command ended with another exit status")                                            \
    X(71, EXEC_SIGNAL, "exec_signal", "the command was ended by a signal")                                                     \
    X(72, EXEC_FAILED, "exec_failed", "the command could not be started")                                                      \
    X(73, EXEC_OUTPUT, "exec_output", "the command wrote more than the limit")                                                 \
    X(75, QUORUM, "quorum", "fewer of its members are up than are needed")                                                     \
    X(80, ICMP_TIMEOUT, "icmp_timeout", "no echo reply in time")                                                               \
    X(81, ICMP_EXPIRED, "icmp_expired", "the packet's time to live ran out on the way")                                        \
    X(82, ICMP_TOO_BIG, "icmp_too_big", "the packet is too big for a link on the way")                                         \
    X(100, OVERLAP, "overlap", "the previous run had not finished")                                                            \
    X(101, SATURATED, "saturated", "no free worker or connection in time")                                                     \
    X(102, LATE, "late", "the moment had passed (suspended or stopped process)")                                               \
    X(103, DESCRIPTORS, "descriptors", "this process is out of file descriptors")                                              \
    X(104, PORTS, "ports", "this host is out of ephemeral ports")                                                              \
    X(105, MEMORY, "memory", "the kernel is out of socket buffers")                                                            \
    X(106, SHUTTING_DOWN, "shutting_down", "the runtime is stopping")                                                          \
    X(107, DROPPED, "dropped", "a notice was lost to a full ring")                                                             \
    X(108, SOURCE, "source", "this host does not have the source address or interface")                                        \
    X(109, PERMISSION, "permission", "this host does not let the packet out")                                                  \
    X(110, BUDGET, "budget", "the budget of its group was spent")                                                              \
    X(112, DEFERRED, "deferred", "a real call to the target passed shortly before")                                            \
    X(113, MEMBERS_UNKNOWN, "members_unknown", "too little is known of its members yet")

enum fp_reason {
#define FP_REASON_ENUM(number, name, text, message) FP_REASON_##name = number,
    FP_REASONS(FP_REASON_ENUM)
#undef FP_REASON_ENUM
};

const char *fp_reason_name(unsigned reason);    /* NULL when the number is not a reason */
const char *fp_reason_message(unsigned reason); /* likewise */

/* The one record all lanes write: 32 bytes, little holes in meaning, none in layout. */
typedef struct fp_record {
    uint32_t slot;
    uint32_t generation; /* of the slot; a record of an older generation is ignored by ingest */
    fp_ns started_ns;    /* scheduling clock: when the run began (for DUE: when it was due) */
    fp_ns latency_ns;    /* monotonic clock: from the first packet to the verdict */
    uint32_t lag_us;     /* started - due, saturating: how late we were, never the target's fault */
    uint16_t detail;     /* HTTP status, errno, or a count: what reason says */
    uint8_t result;      /* fp_result, with FP_PASSIVE set for a result nobody scheduled */
    uint8_t reason;      /* fp_reason */
} fp_record;
_Static_assert(sizeof(fp_record) == 32, "every ring and every batch counts on 32 bytes");
#define FP_PASSIVE 0x80u

/* Address space for `bytes`, zero on first touch, or NULL. Freed with the same size. */
void *fp_reserve(size_t bytes);
void fp_release(void *memory, size_t bytes);

#endif
