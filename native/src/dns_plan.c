/* dns_plan.c - what many DNS targets share: the question, and what is expected of the answer. */
#include "dns_plan.h"
#include "target_internal.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Length bytes are below 64 and letters above, so a name on the wire is lowered as it stands. */
void fp_dns_lower(uint8_t *bytes, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (bytes[i] >= 'A' && bytes[i] <= 'Z') bytes[i] = (uint8_t)(bytes[i] | 0x20);
}

static bool is_name(fp_bytes name) {
    const uint8_t *bytes = name.data;
    size_t at = 0;
    if (!bytes || name.len == 0 || name.len > FP_DNS_NAME_MAX) return false;
    while (at < name.len && bytes[at]) {
        if (bytes[at] > 63) return false;
        at += bytes[at] + 1u;
    }
    return at + 1 == name.len;
}

/* Where in a record's data of this type names begin: before it, every byte is what it is. */
static size_t before_name(uint16_t type) {
    return type == FP_DNS_MX ? 2 : type == FP_DNS_SRV ? 6 : 0;
}

static bool is_data(uint16_t type, fp_bytes data) {
    const size_t before = before_name(type);
    switch (type) {
    case FP_DNS_A:
        return data.len == 4;
    case FP_DNS_AAAA:
        return data.len == 16;
    case FP_DNS_TXT:
        return data.len <= FP_NEEDLE_MAX;
    default:
        return data.len > before && is_name((fp_bytes){(const uint8_t *)data.data + before, data.len - (uint32_t)before});
    }
}

static bool is_sound(const fp_dns_plan_spec *spec) {
    if (!is_name(spec->name) || !fp_dns_knows(spec->type) || spec->rcode > 15) return false;
    if (spec->n_answers > FP_DNS_ANSWERS_MAX) return false;
    for (uint32_t i = 0; i < spec->n_answers; i++)
        if (!is_data(spec->type, spec->answers[i])) return false;
    return true;
}

static size_t room_of(uint32_t len) { /* the data, and the borders of a needle in front of it; the next begins even */
    return (size_t)len * sizeof(uint16_t) + len + (len & 1);
}

static void place(fp_dns_plan *plan, const fp_dns_plan_spec *spec) {
    char *at = plan->text;
    for (uint32_t i = 0; i < spec->n_answers; i++) {
        const uint32_t len = spec->answers[i].len;
        uint16_t *border = (void *)at;
        uint8_t *bytes = (uint8_t *)(at + len * sizeof *border);
        plan->wanted[i] = (fp_needle){.bytes = (const char *)bytes, .border = border, .len = len};
        if (!len) continue;
        memcpy(bytes, spec->answers[i].data, len);
        if (spec->type == FP_DNS_TXT)
            fp_needle_init(&plan->wanted[i], (const char *)bytes, len, border);
        else if (spec->type != FP_DNS_A && spec->type != FP_DNS_AAAA)
            fp_dns_lower(bytes + before_name(spec->type), len - before_name(spec->type));
        at += room_of(len);
    }
}

int fp_dns_plan_new(fp_dns_plan **plan, const fp_dns_plan_spec *spec) {
    assert(plan && spec);
    if (!is_sound(spec)) return -EINVAL;
    size_t bytes = 0;
    for (uint32_t i = 0; i < spec->n_answers; i++) bytes += room_of(spec->answers[i].len);
    fp_dns_plan *made = calloc(1, sizeof *made + bytes);
    if (!made) return -ENOMEM;
    atomic_init(&made->references, 1);
    made->type = spec->type;
    made->rcode = spec->rcode;
    made->min_answers = spec->min_answers;
    made->min_ttl_s = spec->min_ttl_s;
    made->n_wanted = spec->n_answers;
    made->name_len = (uint8_t)spec->name.len;
    memcpy(made->name, spec->name.data, spec->name.len);
    memcpy(made->lowered, spec->name.data, spec->name.len);
    fp_dns_lower(made->lowered, made->name_len);
    place(made, spec);
    *plan = made;
    return 0;
}

void fp_dns_plan_hold(fp_dns_plan *plan) {
    atomic_fetch_add_explicit(&plan->references, 1, memory_order_relaxed);
}

void fp_dns_plan_release(fp_dns_plan *plan) {
    if (!plan) return;
    const uint32_t before = atomic_fetch_sub_explicit(&plan->references, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1) free(plan);
}

size_t fp_dns_query(const fp_dns_plan *plan, uint16_t id, uint8_t out[FP_DNS_QUERY_MAX]) {
    const uint8_t head[12] = {(uint8_t)(id >> 8), (uint8_t)id, 0x01 /* recursion desired */, 0, 0, 1};
    const uint8_t tail[4] = {(uint8_t)(plan->type >> 8), (uint8_t)plan->type, 0, 1 /* IN */};
    memcpy(out, head, sizeof head);
    memcpy(out + sizeof head, plan->name, plan->name_len);
    memcpy(out + sizeof head + plan->name_len, tail, sizeof tail);
    return sizeof head + plan->name_len + sizeof tail;
}
