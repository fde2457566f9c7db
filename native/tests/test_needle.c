#include "check.h"
#include "needle.h"

/* memmem as the model: where the first match ends, or 0. */
static size_t model_end(const char *text, size_t text_len, const char *needle, size_t needle_len) {
    const char *found = memmem(text, text_len, needle, needle_len);
    return found ? (size_t)(found - text) + needle_len : 0;
}

static bool found_in_two(const fp_needle *needle, const char *text, size_t len, size_t cut) {
    const uint32_t matched = fp_needle_scan(needle, 0, text, cut);
    return fp_needle_scan(needle, matched, text + cut, len - cut) == needle->len;
}

static void check_against_model(const char *bytes, uint32_t bytes_len, const char *text, size_t len) {
    uint16_t border[FP_NEEDLE_MAX];
    fp_needle needle;
    fp_needle_init(&needle, bytes, bytes_len, border);
    const size_t end = model_end(text, len, bytes, bytes_len);
    for (size_t cut = 0; cut <= len; cut++) CHECK_EQ(found_in_two(&needle, text, len, cut), end > 0);
    uint32_t matched = 0;
    for (size_t i = 0; i < len; i++) {
        matched = fp_needle_scan(&needle, matched, text + i, 1);
        CHECK_EQ(matched == needle.len, end > 0 && i + 1 >= end);
    }
}

static void a_needle_is_found_however_the_body_is_cut(void) {
    static const char *const texts[] = {"", "x", "ok", "it is ok", "okay", "o k", "ooook", "aabaabaaab", "ababababac"};
    static const char *const needles[] = {"ok", "o", "x", "aabaaab", "ababac", "ababababac", "a needle longer than the text"};
    for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++)
        for (size_t n = 0; n < sizeof needles / sizeof needles[0]; n++)
            check_against_model(needles[n], (uint32_t)strlen(needles[n]), texts[t], strlen(texts[t]));
}

/* Few letters and much repetition: where a careless automaton skips too far. */
static void random_needles_agree_with_memmem(void) {
    check_rng rng = check_seed(0x6e65);
    for (int round = 0; round < 20000; round++) {
        char text[48], bytes[8];
        const size_t len = check_below(&rng, sizeof text + 1);
        const uint32_t bytes_len = 1 + (uint32_t)check_below(&rng, sizeof bytes);
        const uint64_t letters = 1 + check_below(&rng, 3);
        for (size_t i = 0; i < len; i++) text[i] = (char)('a' + check_below(&rng, letters));
        for (size_t i = 0; i < bytes_len; i++) bytes[i] = (char)('a' + check_below(&rng, letters));
        check_against_model(bytes, bytes_len, text, len);
    }
}

static void any_byte_may_be_looked_for(void) {
    check_against_model("\0\xff", 2, "ab\0\0\xff z", 7);
    check_against_model("\0\xff", 2, "ab\0\0\xfe z", 7);
}

static void the_longest_needle_is_found_at_the_very_end(void) {
    static char bytes[FP_NEEDLE_MAX], text[3 * FP_NEEDLE_MAX];
    static uint16_t border[FP_NEEDLE_MAX];
    fp_needle needle;
    memset(bytes, 'a', sizeof bytes);
    memset(text, 'a', sizeof text);
    bytes[sizeof bytes - 1] = 'b';
    fp_needle_init(&needle, bytes, sizeof bytes, border);
    CHECK(fp_needle_scan(&needle, 0, text, sizeof text) < needle.len);
    text[sizeof text - 1] = 'b';
    CHECK_EQ(fp_needle_scan(&needle, 0, text, sizeof text), needle.len);
}

int main(void) {
    RUN(a_needle_is_found_however_the_body_is_cut);
    RUN(random_needles_agree_with_memmem);
    RUN(any_byte_may_be_looked_for);
    RUN(the_longest_needle_is_found_at_the_very_end);
    return 0;
}
