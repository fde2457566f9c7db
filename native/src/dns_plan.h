/* dns_plan.h - a DNS plan from within: what the reader of messages holds an answer against. Immutable once made. */
#ifndef FASTPROBE_DNS_PLAN_H
#define FASTPROBE_DNS_PLAN_H
#include "fastprobe/datagram.h"
#include "needle.h"
#include <stdatomic.h>

enum fp_dns_type {
    FP_DNS_A = 1,
    FP_DNS_NS = 2,
    FP_DNS_CNAME = 5,
    FP_DNS_PTR = 12,
    FP_DNS_MX = 15,
    FP_DNS_TXT = 16,
    FP_DNS_AAAA = 28,
    FP_DNS_SRV = 33,
};

static inline bool fp_dns_knows(uint16_t type) {
    return type == FP_DNS_A || type == FP_DNS_NS || type == FP_DNS_CNAME || type == FP_DNS_PTR || type == FP_DNS_MX ||
           type == FP_DNS_TXT || type == FP_DNS_AAAA || type == FP_DNS_SRV;
}

struct fp_dns_plan {
    _Atomic uint32_t references;
    uint32_t min_answers;
    uint32_t min_ttl_s;
    uint32_t n_wanted;
    uint16_t type;
    uint8_t rcode;
    uint8_t name_len;
    uint8_t name[FP_DNS_NAME_MAX];
    uint8_t lowered[FP_DNS_NAME_MAX];
    fp_needle wanted[FP_DNS_ANSWERS_MAX]; /* names lowered; borders for TXT alone */
    _Alignas(uint16_t) char text[];
};

void fp_dns_lower(uint8_t *bytes, size_t len);

#endif
