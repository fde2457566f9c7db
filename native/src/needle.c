#include "needle.h"
#include <assert.h>
#include <string.h>

void fp_needle_init(fp_needle *needle, const char *bytes, uint32_t len, uint16_t *border) {
    assert(needle && bytes && border && len >= 1 && len <= FP_NEEDLE_MAX);
    border[0] = 0;
    for (uint32_t i = 1, matched = 0; i < len; i++) {
        while (matched > 0 && bytes[i] != bytes[matched]) matched = border[matched - 1];
        if (bytes[i] == bytes[matched]) matched++;
        border[i] = (uint16_t)matched;
    }
    *needle = (fp_needle){.bytes = bytes, .border = border, .len = len};
}

uint32_t fp_needle_scan(const fp_needle *needle, uint32_t matched, const char *piece, size_t piece_len) {
    assert(needle && needle->len >= 1 && matched <= needle->len);
    const char *at = piece, *const end = piece + piece_len;
    while (at < end && matched < needle->len) {
        if (matched == 0) { /* most of a body: let the C library look for the first byte many at a time */
            at = memchr(at, needle->bytes[0], (size_t)(end - at));
            if (!at) return 0;
        }
        while (matched > 0 && *at != needle->bytes[matched]) matched = needle->border[matched - 1];
        if (*at == needle->bytes[matched]) matched++;
        at++;
    }
    return matched;
}
