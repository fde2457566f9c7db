/* plan.c - what many HTTP targets share: the parts of the request, and what is expected of the answer. */
#include "fastprobe/http1.h"
#include "target_internal.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEFAULT_STATUS_FIRST 200u
#define DEFAULT_STATUS_LAST  299u

/* ---- what a request must not hold ---- */

static bool is_token(const char *text) {
    if (!*text) return false;
    for (const char *at = text; *at; at++) {
        const unsigned char c = (unsigned char)*at;
        if (c <= ' ' || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c)) return false;
    }
    return true;
}

static bool is_field_value(const char *text) {
    for (const char *at = text; *at; at++) {
        const unsigned char c = (unsigned char)*at;
        if ((c < ' ' && c != '\t') || c == 0x7f) return false;
    }
    return true;
}

static bool is_origin_form(const char *path) {
    if (path[0] != '/') return false;
    for (const char *at = path; *at; at++) {
        const unsigned char c = (unsigned char)*at;
        if (c <= ' ' || c >= 0x7f || c == '#') return false;
    }
    return true;
}

static const char *header_problem(const fp_http_header *header) {
    if (!is_token(header->name)) return "a header's name is not a token";
    if (!is_field_value(header->value)) return "a header's value holds control characters";
    return NULL;
}

static const char *sent_headers_problem(const fp_http_plan_spec *spec) {
    size_t bytes = strlen(spec->path), hosts = 0;
    for (uint32_t i = 0; i < spec->n_headers; i++) {
        const fp_http_header *header = &spec->headers[i];
        const char *problem = header_problem(header);
        if (problem) return problem;
        if (strcasecmp(header->name, "content-length") == 0 || strcasecmp(header->name, "transfer-encoding") == 0)
            return "a header announces a body, and none is sent";
        hosts += strcasecmp(header->name, "host") == 0;
        bytes += strlen(header->name) + strlen(header->value) + sizeof ": \r\n";
    }
    if (hosts > 1) return "there are two Host headers";
    if (bytes > FP_HTTP_REQUEST_MAX - FP_HOST_HEADER_MAX - 256) return "path and headers are longer than 15 KiB";
    return NULL;
}

static const char *expectations_problem(const fp_http_plan_spec *spec) {
    if (spec->n_expect_headers > FP_EXPECT_HEADERS) return "more than 16 headers are expected";
    for (uint32_t i = 0; i < spec->n_expect_headers; i++) {
        const fp_http_header *header = &spec->expect_headers[i];
        const char *problem = header_problem(header);
        if (problem) return problem;
        for (const char *at = header->name; *at; at++)
            if (*at >= 'A' && *at <= 'Z') return "an expected header's name is not in lower case";
        /* What the parser cuts could never be told from what fits exactly. */
        if (strlen(header->name) >= FP_HTTP1_NAME) return "an expected header's name is longer than 63 bytes";
        if (strlen(header->value) > FP_HTTP1_VALUE) return "an expected header's value is longer than 256 bytes";
    }
    for (uint32_t i = 0; i < spec->n_status; i++)
        if (spec->status[i] < 100 || spec->status[i] > 999) return "an expected status is not in 100..999";
    if (spec->body_contains && (spec->body_contains_len == 0 || spec->body_contains_len > FP_NEEDLE_MAX))
        return "what the body should contain is not 1..1024 bytes long";
    return NULL;
}

const char *fp_http_plan_problem(const fp_http_plan_spec *spec) {
    assert(spec && spec->method && spec->path);
    if (strcmp(spec->method, "GET") != 0 && strcmp(spec->method, "HEAD") != 0) return "the method is neither GET nor HEAD";
    if (!is_origin_form(spec->path)) return "the path does not start with / or holds characters that must be percent-encoded";
    const char *problem = sent_headers_problem(spec);
    return problem ? problem : expectations_problem(spec);
}

/* ---- the layout: the same code first measures, then writes ---- */

typedef struct writer {
    char *start; /* NULL while measuring */
    size_t len;
} writer;

static char *put(writer *out, const void *bytes, size_t len) {
    char *at = out->start ? out->start + out->len : NULL;
    if (at && len) memcpy(at, bytes, len);
    out->len += len;
    return at;
}

static char *put_text(writer *out, const char *text) {
    return put(out, text, strlen(text));
}

static const char *given(const fp_http_plan_spec *spec, const char *name) {
    for (uint32_t i = 0; i < spec->n_headers; i++)
        if (strcasecmp(spec->headers[i].name, name) == 0) return spec->headers[i].value;
    return NULL;
}

static void put_default(writer *out, const fp_http_plan_spec *spec, const char *name, const char *line) {
    if (!given(spec, name)) put_text(out, line);
}

static void lay_out_request(fp_http_plan *plan, const fp_http_plan_spec *spec, writer *out) {
    const char *host = given(spec, "host");
    const size_t begin = out->len;
    plan->own_host = host != NULL;
    plan->before_host = put_text(out, spec->method);
    put_text(out, " ");
    put_text(out, spec->path);
    put_text(out, " HTTP/1.1\r\nHost: ");
    if (host) put_text(out, host);
    plan->before_host_len = (uint32_t)(out->len - begin);

    const size_t middle = out->len;
    plan->after_host = put_text(out, "\r\n");
    put_default(out, spec, "user-agent", "User-Agent: " FP_HTTP_USER_AGENT "\r\n");
    put_default(out, spec, "accept", "Accept: */*\r\n");
    if (!spec->keep_alive) put_default(out, spec, "connection", "Connection: close\r\n");
    for (uint32_t i = 0; i < spec->n_headers; i++) {
        if (strcasecmp(spec->headers[i].name, "host") == 0) continue;
        put_text(out, spec->headers[i].name);
        put_text(out, ": ");
        put_text(out, spec->headers[i].value);
        put_text(out, "\r\n");
    }
    put_text(out, "\r\n");
    plan->after_host_len = (uint32_t)(out->len - middle);
}

static void lay_out_expectations(fp_http_plan *plan, const fp_http_plan_spec *spec, writer *out) {
    for (uint32_t i = 0; i < spec->n_expect_headers; i++) {
        const fp_http_header *header = &spec->expect_headers[i];
        plan->expected[i] = (fp_expected_header){
            .name = put(out, header->name, strlen(header->name) + 1),
            .value = put(out, header->value, strlen(header->value) + 1),
            .name_len = (uint16_t)strlen(header->name),
            .value_len = (uint16_t)strlen(header->value),
        };
    }
}

static void lay_out(fp_http_plan *plan, const fp_http_plan_spec *spec, writer *out) {
    static const uint16_t unset[FP_NEEDLE_MAX];
    const uint32_t needle_len = spec->body_contains ? spec->body_contains_len : 0;
    uint16_t *border = (void *)put(out, unset, needle_len * sizeof unset[0]); /* first: it wants an even address */
    const char *needle = put(out, spec->body_contains, needle_len);
    if (out->start && needle_len) fp_needle_init(&plan->needle, needle, needle_len, border);
    lay_out_request(plan, spec, out);
    lay_out_expectations(plan, spec, out);
}

static void accept_status(fp_http_plan *plan, unsigned status) {
    plan->accepted[status / 64] |= 1ULL << (status % 64);
}

int fp_http_plan_new(fp_http_plan **plan, const fp_http_plan_spec *spec) {
    assert(plan);
    if (fp_http_plan_problem(spec)) return -EINVAL;
    fp_http_plan scratch = {0};
    writer measure = {0};
    lay_out(&scratch, spec, &measure);
    fp_http_plan *made = calloc(1, sizeof *made + measure.len);
    if (!made) return -ENOMEM;
    writer text = {.start = made->text};
    lay_out(made, spec, &text);
    assert(text.len == measure.len);

    atomic_init(&made->references, 1);
    made->max_body = spec->max_body;
    made->head = strcmp(spec->method, "HEAD") == 0;
    made->keep_alive = spec->keep_alive;
    made->idle_ms = spec->idle_ms;
    made->n_expected = spec->n_expect_headers;
    for (uint32_t i = 0; i < spec->n_status; i++) accept_status(made, spec->status[i]);
    for (unsigned i = DEFAULT_STATUS_FIRST; spec->n_status == 0 && i <= DEFAULT_STATUS_LAST; i++) accept_status(made, i);
    *plan = made;
    return 0;
}

void fp_http_plan_release(fp_http_plan *plan) {
    if (!plan) return;
    const uint32_t before = atomic_fetch_sub_explicit(&plan->references, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1) free(plan);
}

uint32_t fp_http_plan_match(const fp_http_plan *plan, const char *name, size_t name_len, const char *value, size_t value_len) {
    uint32_t fulfilled = 0;
    for (uint32_t i = 0; i < plan->n_expected; i++) {
        const fp_expected_header *wanted = &plan->expected[i];
        if (wanted->name_len == name_len && memcmp(wanted->name, name, name_len) == 0 &&
            memmem(value, value_len, wanted->value, wanted->value_len))
            fulfilled |= 1u << i;
    }
    return fulfilled;
}
