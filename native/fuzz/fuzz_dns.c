/* fuzz_dns.c - any bytes that claim to be an answer: the reader stays within them, and one answer has one verdict.
 *
 * The first byte of an input chooses the plan, the rest is the message; it answers our question whenever its id can be ours.
 * Build with clang for libFuzzer (`make fuzz`), or with replay.c where there is none. */
#include "../tests/check.h"
#include "fastprobe/datagram.h"

#define TEXT(text) ((fp_bytes){(text), sizeof(text) - 1})

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char NAME[] = "\3www\7example\3org"; /* and the zero at its end */

typedef struct asked {
    uint16_t type;
    uint8_t rcode;
    fp_bytes wanted; /* NULL: whatever there is */
} asked;

static const asked PLANS[] = {
    {1, 0, {NULL, 0}},
    {1, 0, TEXT("\xc0\0\2\1")},
    {28, 0, {NULL, 0}},
    {16, 0, {NULL, 0}},
    {16, 0, TEXT("v=spf1 -all")},
    {33, 0, TEXT("\0\1\0\2\1\xbb\1a\7example\3org\0")},
    {15, 0, {NULL, 0}},
    {15, 0, TEXT("\0\12\4mail\0")},
    {2, 0, TEXT("\2ns\7example\3org\0")},
    {12, 0, {NULL, 0}},
    {5, 0, {NULL, 0}},
    {1, 3, {NULL, 0}},
};
#define N_PLANS (sizeof PLANS / sizeof *PLANS)

static fp_dns_plan *plan_of(const asked *what) {
    const fp_dns_plan_spec spec = {
        .name = {NAME, sizeof NAME},
        .type = what->type,
        .rcode = what->rcode,
        .min_answers = what->rcode ? 0 : 1,
        .min_ttl_s = 5,
        .answers = &what->wanted,
        .n_answers = what->wanted.data != NULL,
    };
    fp_dns_plan *plan = NULL;
    CHECK(fp_dns_plan_new(&plan, &spec) == 0);
    return plan;
}

static void read_both_ways(const fp_dns_plan *plan, const uint8_t *message, size_t len) {
    const uint16_t id = (uint16_t)(len < 2 ? 0 : message[0] << 8 | message[1]);
    fp_dns_verdict datagram = {0}, stream = {0};
    const enum fp_dns_reading reading = fp_dns_read(plan, id, false, message, len, &datagram);
    CHECK(fp_dns_read(plan, id, true, message, len, &stream) == FP_DNS_JUDGED);
    if (reading == FP_DNS_JUDGED)
        CHECK(datagram.reason == stream.reason && datagram.detail == stream.detail);
    else
        CHECK(stream.reason == FP_REASON_DNS_PROTOCOL); /* a stray or a cut has no place in a stream */
    CHECK(fp_dns_read(plan, (uint16_t)~id, false, message, len, &datagram) == FP_DNS_STRAY);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static fp_dns_plan *plans[N_PLANS];
    if (size < 1) return 0;
    fp_dns_plan **plan = &plans[data[0] % N_PLANS];
    if (!*plan) *plan = plan_of(&PLANS[data[0] % N_PLANS]);
    uint8_t *message = malloc(size - 1 ? size - 1 : 1); /* its own block: the sanitizer sees a step over its end */
    CHECK(message != NULL);
    memcpy(message, data + 1, size - 1);
    read_both_ways(*plan, message, size - 1);
    free(message);
    return 0;
}
