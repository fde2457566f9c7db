/* dns_message.c - one DNS message held against a plan. Pure over bytes: no socket, no clock, no memory taken. */
#include "dns_plan.h"
#include <assert.h>
#include <string.h>

#define HEADER_BYTES  12u
#define LABEL_MAX     63u
#define POINTER       0xC0u
#define POINTERS_MAX  127u /* a name has no more labels than this */
#define FLAG_RESPONSE 0x8000u
#define FLAG_CUT      0x0200u
#define DATA_MAX      (6u + FP_DNS_NAME_MAX) /* a SRV record's: three numbers and a name */

typedef struct message {
    const uint8_t *data;
    size_t len;
    size_t at; /* what is read next */
} message;

static uint16_t be16(const uint8_t *bytes) {
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static uint32_t be32(const uint8_t *bytes) {
    return (uint32_t)be16(bytes) << 16 | be16(bytes + 2);
}

static bool has(const message *it, size_t bytes) {
    return it->at <= it->len && it->len - it->at >= bytes;
}

/* The name that begins here, whole and in lower case; leaves `at` behind it. Its length, or 0: that is no name.
 *
 * Each pointer must lead before the part of the name it ends: so a name takes each byte once and cannot go round in circles. */
static size_t take_name(message *it, uint8_t out[FP_DNS_NAME_MAX]) {
    size_t size = 0, at = it->at, lowest = at, after = 0;
    for (unsigned pointers = 0; at < it->len;) {
        const uint8_t length = it->data[at];
        if (length >= POINTER) {
            if (at + 2 > it->len || ++pointers > POINTERS_MAX) return 0;
            if (!after) after = at + 2;
            at = be16(it->data + at) & 0x3FFF;
            if (at >= lowest) return 0;
            lowest = at;
            continue;
        }
        if (length > LABEL_MAX || at + 1 + length > it->len || size + 1 + length > FP_DNS_NAME_MAX - (length != 0)) return 0;
        memcpy(out + size, it->data + at, length + 1u);
        size += length + 1u;
        at += length + 1u;
        if (length) continue;
        it->at = after ? after : at;
        fp_dns_lower(out, size);
        return size;
    }
    return 0;
}

/* Fixed bytes and a name that together fill the record: MX, SRV, and with none before it NS, CNAME, PTR. */
static size_t take_named(message *it, size_t end, size_t before, uint8_t out[DATA_MAX]) {
    if (!has(it, before)) return 0;
    memcpy(out, it->data + it->at, before);
    it->at += before;
    const size_t name = take_name(it, out + before);
    return name && it->at == end ? before + name : 0;
}

static bool strings_are_whole(const uint8_t *data, size_t len) {
    size_t at = 0;
    while (at < len) at += data[at] + 1u;
    return at == len;
}

/* The strings of a TXT record are read as one, so what is looked for may lie across their seams. */
static bool text_holds(const fp_needle *wanted, const uint8_t *data, size_t len) {
    uint32_t matched = 0;
    for (size_t at = 0; at < len && matched < wanted->len; at += data[at] + 1u)
        matched = fp_needle_scan(wanted, matched, (const char *)data + at + 1, data[at]);
    return matched == wanted->len;
}

typedef struct tally {
    uint32_t records; /* of the type that was asked for */
    uint32_t shortest_ttl_s;
    uint32_t found; /* a bit for each wanted one */
} tally;

static void count(const fp_dns_plan *plan, tally *sum, uint32_t ttl_s, const uint8_t *data, size_t len) {
    sum->records++;
    if (ttl_s > INT32_MAX) ttl_s = 0; /* RFC 2181: the sign bit says that it is not to be believed */
    if (ttl_s < sum->shortest_ttl_s) sum->shortest_ttl_s = ttl_s;
    for (uint32_t i = 0; i < plan->n_wanted; i++) {
        const fp_needle *wanted = &plan->wanted[i];
        const bool holds = plan->type == FP_DNS_TXT ? text_holds(wanted, data, len)
                                                    : len == wanted->len && memcmp(data, wanted->bytes, len) == 0;
        if (holds) sum->found |= 1u << i;
    }
}

static bool take_record(const fp_dns_plan *plan, message *it, tally *sum) {
    uint8_t name[FP_DNS_NAME_MAX], whole[DATA_MAX];
    if (!take_name(it, name) || !has(it, 10)) return false;
    const uint16_t type = be16(it->data + it->at), length = be16(it->data + it->at + 8);
    const uint32_t ttl_s = be32(it->data + it->at + 4);
    it->at += 10;
    if (!has(it, length)) return false;
    const size_t end = it->at + length;
    const uint8_t *data = it->data + it->at;
    size_t size = length;
    switch (type) {
    case FP_DNS_A:
        if (length != 4) return false;
        break;
    case FP_DNS_AAAA:
        if (length != 16) return false;
        break;
    case FP_DNS_TXT:
        if (!strings_are_whole(data, length)) return false;
        break;
    case FP_DNS_NS:
    case FP_DNS_CNAME:
    case FP_DNS_PTR:
    case FP_DNS_MX:
    case FP_DNS_SRV:
        size = take_named(it, end, type == FP_DNS_MX ? 2 : type == FP_DNS_SRV ? 6 : 0, whole);
        if (!size) return false;
        data = whole;
        break;
    default:
        break;
    }
    it->at = end;
    if (type == plan->type) count(plan, sum, ttl_s, data, size);
    return true;
}

static fp_dns_verdict verdict_of(uint8_t reason, uint32_t detail) {
    return (fp_dns_verdict){.reason = reason, .detail = (uint16_t)(detail < UINT16_MAX ? detail : UINT16_MAX)};
}

static fp_dns_verdict other_rcode(const fp_dns_plan *plan, uint8_t rcode) {
    if (plan->rcode) return verdict_of(FP_REASON_DNS_MISMATCH, rcode);
    return verdict_of(rcode == 3 ? FP_REASON_DNS_NXDOMAIN : FP_REASON_DNS_FAILURE, rcode);
}

static fp_dns_verdict judge(const fp_dns_plan *plan, message *it, uint8_t rcode, uint16_t records) {
    tally sum = {.shortest_ttl_s = UINT32_MAX};
    for (uint16_t i = 0; i < records; i++)
        if (!take_record(plan, it, &sum)) return verdict_of(FP_REASON_DNS_PROTOCOL, 0);
    if (rcode != plan->rcode) return other_rcode(plan, rcode);
    if (rcode) return verdict_of(FP_REASON_NONE, rcode);
    const uint32_t all = plan->n_wanted == 32 ? UINT32_MAX : (1u << plan->n_wanted) - 1;
    if (sum.records < plan->min_answers || sum.found != all) return verdict_of(FP_REASON_DNS_MISMATCH, sum.records);
    if (sum.shortest_ttl_s < plan->min_ttl_s) return verdict_of(FP_REASON_DNS_TTL, sum.shortest_ttl_s);
    return verdict_of(FP_REASON_NONE, 0);
}

enum asks { OURS, ANOTHERS, NOBODYS };

/* A server that could not read the question may leave it out, but then it has no good answer either. */
static enum asks take_question(const fp_dns_plan *plan, message *it, uint16_t questions, uint8_t rcode) {
    uint8_t name[FP_DNS_NAME_MAX];
    if (questions == 0) return rcode ? OURS : ANOTHERS;
    if (questions > 1) return NOBODYS;
    const size_t size = take_name(it, name);
    if (!size || !has(it, 4)) return NOBODYS;
    const uint16_t type = be16(it->data + it->at), class = be16(it->data + it->at + 2);
    it->at += 4;
    return type == plan->type && class == 1 && size == plan->name_len && memcmp(name, plan->lowered, size) == 0 ? OURS
                                                                                                                : ANOTHERS;
}

static enum fp_dns_reading read_any(const fp_dns_plan *plan, uint16_t id, bool over_tcp, const uint8_t *data, size_t len,
                                    fp_dns_verdict *verdict) {
    if (len < 2 || be16(data) != id) return FP_DNS_STRAY;
    *verdict = verdict_of(FP_REASON_DNS_PROTOCOL, 0);
    if (len < HEADER_BYTES) return FP_DNS_JUDGED;
    message it = {data, len, HEADER_BYTES};
    const uint16_t flags = be16(data + 2);
    const uint8_t rcode = flags & 0x0F;
    if (!(flags & FLAG_RESPONSE)) return FP_DNS_STRAY;
    switch (take_question(plan, &it, be16(data + 4), rcode)) {
    case ANOTHERS:
        return FP_DNS_STRAY;
    case NOBODYS:
        return FP_DNS_JUDGED;
    default:
        break;
    }
    if (flags & FLAG_CUT) return over_tcp ? FP_DNS_JUDGED : FP_DNS_CUT;
    *verdict = judge(plan, &it, rcode, be16(data + 6));
    return FP_DNS_JUDGED;
}

enum fp_dns_reading fp_dns_read(const fp_dns_plan *plan, uint16_t id, bool over_tcp, const uint8_t *data, size_t len,
                                fp_dns_verdict *verdict) {
    assert(plan && verdict && (data || !len));
    const enum fp_dns_reading reading = read_any(plan, id, over_tcp, data, len, verdict);
    if (reading != FP_DNS_STRAY || !over_tcp) return reading;
    *verdict = verdict_of(FP_REASON_DNS_PROTOCOL, 0);
    return FP_DNS_JUDGED;
}
