/* fuzz_http1.c - any bytes, cut in any way: the parser stays within its bounds and says the same.
 *
 * The first byte of an input chooses how the rest is cut (bit 0: the answer is to HEAD; bit 1: the peer closes at the end; the
 * others: seed of the cuts). Build with clang for libFuzzer (`make fuzz`), or with replay.c where there is none. */
#include "../tests/http1_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(const http1_log *a, const http1_log *b) {
    return a->len == b->len && memcmp(a->text, b->text, a->len) == 0; /* a body may hold NULs */
}

/* Pieces of 1 .. largest bytes, each copied to a block of its own so that the address sanitizer sees every step over its end.
 */
static void parse(http1_log *log, const char *data, size_t len, check_rng rng, size_t largest, uint8_t how) {
    fp_http1 parser;
    bool ended = false;
    log->len = 0;
    log->text[0] = '\0';
    log->in_body = false;
    fp_http1_init(&parser, how & 1);
    while (len > 0 && !ended) {
        size_t piece_len = 1 + check_below(&rng, largest), left;
        if (piece_len > len) piece_len = len;
        char *piece = malloc(piece_len);
        CHECK(piece != NULL);
        memcpy(piece, data, piece_len);
        ended = http1_log_piece(log, &parser, piece, piece_len, &left);
        free(piece);
        data += piece_len;
        len -= piece_len;
    }
    if ((how & 2) && !ended) http1_log_eof(log, &parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static http1_log whole, bytewise, random;
    if (size < 1 || size > 40000) return 0;
    const uint8_t how = data[0];
    const check_rng rng = {0x9e3779b97f4a7c15ULL ^ how};
    const char *response = (const char *)data + 1;
    parse(&whole, response, size - 1, rng, SIZE_MAX, how);
    parse(&bytewise, response, size - 1, rng, 1, how);
    parse(&random, response, size - 1, rng, 50, how);
    CHECK(same(&whole, &bytewise));
    CHECK(same(&whole, &random));
    return 0;
}
