/* target.h - what the native lane probes: an address, for HTTP a plan, and perhaps a route; the latter two shared by many
 * targets.
 *
 * All are made on any thread and immutable once the engine has the target. A target belongs to whoever holds it; handing it to
 * the engine in a command passes ownership. Plans and routes are counted (atomically): each target holds one reference, and
 * fp_http_plan_release and fp_route_release drop one. */
#ifndef FASTPROBE_TARGET_H
#define FASTPROBE_TARGET_H
#include "fastprobe/base.h"
#include <sys/socket.h>

typedef struct fp_target fp_target;
typedef struct fp_http_plan fp_http_plan;
typedef struct fp_route fp_route;

typedef struct fp_http_header {
    const char *name;  /* lower-case for expectations */
    const char *value; /* for expectations: contained in the header's value; "" = present */
} fp_http_header;

typedef struct fp_http_plan_spec {
    const char *method;            /* "GET" or "HEAD" */
    const char *path;              /* origin form: "/healthz?x=1" */
    const fp_http_header *headers; /* sent as given, after Host, User-Agent and Accept */
    uint32_t n_headers;
    const uint16_t *status; /* accepted statuses; n_status 0 = 200..299 */
    uint32_t n_status;
    const fp_http_header *expect_headers;
    uint32_t n_expect_headers; /* <= 16 */
    const char *body_contains; /* NULL, or 1..1024 bytes (length below) that must occur in the first max_body bytes */
    uint32_t body_contains_len;
    uint32_t max_body; /* bytes of body accepted; more is HTTP_BODY_LIMIT */
    bool
        keep_alive; /* keep the connection between runs; a reused connection that dies before any byte is retried once, fresh */
    uint32_t idle_ms; /* for how long it is kept without a run; 0: until the target ends it */
} fp_http_plan_spec;

#define FP_HTTP_USER_AGENT "meshkit-fastprobe/0.1.0"

/* NULL, or what is wrong with the spec in words for a person: characters that a request must not have, sizes over their bound,
 * a header that announces a body. */
const char *fp_http_plan_problem(const fp_http_plan_spec *spec);

/* Copies everything. The request: method, path, Host, User-Agent, Accept, "Connection: close" unless keep_alive, then the
 * headers; a given header takes the place of ours with the same name. -EINVAL when there is a problem, -ENOMEM. */
int fp_http_plan_new(fp_http_plan **plan, const fp_http_plan_spec *spec);
void fp_http_plan_release(fp_http_plan *plan);

/* address: AF_INET, AF_INET6 or AF_UNIX. host_header: 1..300 visible ASCII characters. -EINVAL, -ENOMEM. */
int fp_target_tcp(fp_target **target, const struct sockaddr *address, socklen_t address_len);
int fp_target_http(fp_target **target, const struct sockaddr *address, socklen_t address_len, fp_http_plan *plan,
                   const char *host_header);

/* How packets leave this host towards a target. Zero and NULL leave the choice to the kernel. */
typedef struct fp_route_spec {
    const struct sockaddr *source; /* AF_INET or AF_INET6; its port is not looked at */
    socklen_t source_len;
    const char *interface; /* SO_BINDTODEVICE: 1..15 bytes */
    uint32_t mark;         /* SO_MARK: takes CAP_NET_ADMIN, else every run is ERROR(unsupported) with EPERM */
    uint8_t tos;           /* IP_TOS, IPV6_TCLASS */
} fp_route_spec;
int fp_route_new(fp_route **route, const fp_route_spec *spec); /* -EINVAL, -ENOMEM */
void fp_route_release(fp_route *route);

/* Before the engine has the target, and not for a unix address: take this way. One reference of the target's own. A source of
 * the other family than the target's address is -EINVAL. */
int fp_target_route(fp_target *target, fp_route *route);
/* Before the engine has the target, TCP only: end the handshake with a reset instead of its last acknowledgement. The target's
 * kernel has answered; its accept queue and its process never hear of it. */
void fp_target_half_handshake(fp_target *target);

/* A target whose name does not resolve: every run ends at once with this result (FP_FAIL or FP_ERROR) and reason. */
int fp_target_unresolved(fp_target **target, uint8_t result, uint8_t reason);
void fp_target_free(fp_target *target);
/* What an HTTP target sends. Returns its length, never above FP_HTTP_REQUEST_MAX; written only when it fits in size. 0:
 * nothing. */
#define FP_HTTP_REQUEST_MAX ((size_t)16 * 1024)
size_t fp_target_request(const fp_target *target, char *out, size_t size);
size_t fp_target_bytes(const fp_target *target);

#endif
