/* fuzz_icmp.c - any bytes that claim to answer an echo request: the reader stays within them, and a reply it calls intact is
 * the request, but for its type.
 *
 * The first byte of an input chooses the family and whether IPv4's header comes first. Build with clang for libFuzzer
 * (`make fuzz`), or with replay.c where there is none. */
#include "../tests/check.h"
#include "fastprobe/echo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_intact(const fp_echo_answer *answer, bool v6, const uint8_t *message, size_t len) {
    static uint8_t again[FP_ECHO_HEADER + FP_ECHO_PAYLOAD_MAX];
    CHECK_EQ(fp_echo_request(&answer->echo, v6, again), len);
    const size_t typed = 4; /* type, code and checksum differ */
    CHECK(memcmp(again + typed, message + typed, len - typed) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) return 0;
    const bool v6 = data[0] & 1, with_header = !v6 && data[0] & 2;
    const size_t len = size - 1;
    uint8_t *bytes = malloc(len ? len : 1); /* its own block: the sanitizer sees a step over its end */
    CHECK(bytes != NULL);
    memcpy(bytes, data + 1, len);
    fp_echo_answer answer;
    const enum fp_echo_reading reading = fp_echo_read(v6, with_header, bytes, len, &answer);
    const size_t header = with_header && len ? (size_t)(bytes[0] & 15) * 4 : 0;
    if (reading == FP_ECHO_REPLY && answer.intact) check_intact(&answer, v6, bytes + header, len - header);
    CHECK((reading == FP_ECHO_ERROR) == (answer.reason != FP_REASON_NONE && reading != FP_ECHO_STRAY));
    free(bytes);
    return 0;
}
