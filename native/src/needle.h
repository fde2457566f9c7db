/* needle.h - find a short string in a stream that arrives in pieces.
 *
 * Knuth, Morris and Pratt's automaton: all the memory a stream needs is one number, and a piece is never looked at twice, so a
 * target that sends its body byte by byte costs nothing but the bytes. The table is shared by every stream that looks for the
 * same string. */
#ifndef FASTPROBE_NEEDLE_H
#define FASTPROBE_NEEDLE_H
#include "fastprobe/base.h"

#define FP_NEEDLE_MAX 1024u

typedef struct fp_needle {
    const char *bytes;
    const uint16_t *border; /* border[i]: longest proper prefix of bytes[0..i] that is also its suffix */
    uint32_t len;
} fp_needle;

/* Fills border[len]; bytes and border stay the caller's. 1 <= len <= FP_NEEDLE_MAX. */
void fp_needle_init(fp_needle *needle, const char *bytes, uint32_t len, uint16_t *border);

/* Bytes matched after this piece; a stream begins with 0. needle->len means found, and stays. */
uint32_t fp_needle_scan(const fp_needle *needle, uint32_t matched, const char *piece, size_t piece_len);

#endif
