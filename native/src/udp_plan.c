/* udp_plan.c - what many UDP targets share: the datagram that is sent, and what is expected of the one that comes back. */
#include "target_internal.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct fp_udp_plan {
    _Atomic uint32_t references;
    uint32_t max_reply;
    fp_bytes payload;
    fp_bytes equals;
    fp_bytes prefix;
    fp_bytes contains;
    char text[]; /* everything they point to */
};

static fp_bytes put(char **at, fp_bytes bytes) {
    if (!bytes.data) return bytes;
    if (bytes.len) memcpy(*at, bytes.data, bytes.len);
    const fp_bytes placed = {*at, bytes.len};
    *at += bytes.len;
    return placed;
}

int fp_udp_plan_new(fp_udp_plan **plan, const fp_udp_plan_spec *spec) {
    assert(plan && spec);
    if (spec->payload.len > FP_UDP_PAYLOAD_MAX || spec->max_reply > FP_UDP_REPLY_MAX) return -EINVAL;
    const fp_bytes *wanted[] = {&spec->equals, &spec->prefix, &spec->contains};
    size_t bytes = spec->payload.len;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        if (wanted[i]->len > spec->max_reply) return -EINVAL; /* could never be met */
        bytes += wanted[i]->len;
    }
    fp_udp_plan *made = calloc(1, sizeof *made + bytes);
    if (!made) return -ENOMEM;
    char *at = made->text;
    atomic_init(&made->references, 1);
    made->max_reply = spec->max_reply;
    made->payload = put(&at, spec->payload);
    made->equals = put(&at, spec->equals);
    made->prefix = put(&at, spec->prefix);
    made->contains = put(&at, spec->contains);
    *plan = made;
    return 0;
}

void fp_udp_plan_hold(fp_udp_plan *plan) {
    atomic_fetch_add_explicit(&plan->references, 1, memory_order_relaxed);
}

void fp_udp_plan_release(fp_udp_plan *plan) {
    if (!plan) return;
    const uint32_t before = atomic_fetch_sub_explicit(&plan->references, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1) free(plan);
}

fp_bytes fp_udp_payload(const fp_udp_plan *plan) {
    return plan->payload;
}

static bool begins_with(const void *data, size_t len, fp_bytes wanted) {
    return len >= wanted.len && memcmp(data, wanted.data, wanted.len) == 0;
}

uint8_t fp_udp_judge(const fp_udp_plan *plan, const void *data, size_t whole) {
    if (whole > plan->max_reply) return FP_REASON_REPLY_LIMIT;
    bool good = true;
    if (plan->equals.data) good &= whole == plan->equals.len && begins_with(data, whole, plan->equals);
    if (plan->prefix.data) good &= begins_with(data, whole, plan->prefix);
    if (plan->contains.data) good &= memmem(data, whole, plan->contains.data, plan->contains.len) != NULL;
    return good ? FP_REASON_NONE : FP_REASON_REPLY_MISMATCH;
}
