#include "http1_log.h"

/* What a response comes to, in the words of http1_log.h. eof: the peer closed after the last byte. */
typedef struct sample {
    const char *claim;
    const char *response;
    const char *expected;
    bool eof;
    bool head;
} sample;

static const sample samples[] = {
    /* ---- which rule ends the body ---- */
    {"length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "S200 {content-length: 5} H \"hello\" D+", 0, 0},
    {"length zero", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "S200 {content-length: 0} H D+", 0, 0},
    {"length cut short", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", "S200 {content-length: 6} H \"hello\" B", 1, 0},
    {"length, more to come", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", "S200 {content-length: 6} H \"hello", 0, 0},
    {"lengths that agree", "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\nContent-Length: 02\r\n\r\nhi",
     "S200 {content-length: 2, 2} {content-length: 02} H \"hi\" D+", 0, 0},
    {"no length: until the peer closes", "HTTP/1.1 200 OK\r\n\r\nhello", "S200 H \"hello\" D-", 1, 0},
    {"no length and no byte", "HTTP/1.1 200 OK\r\n\r\n", "S200 H D-", 1, 0},
    {"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
     "S200 {transfer-encoding: chunked} H \"hello world\" D+", 0, 0},
    {"chunked, in capitals", "HTTP/1.1 200 OK\r\nTRANSFER-ENCODING: \tChunked \r\n\r\nA\r\n0123456789\r\n0\r\n\r\n",
     "S200 {transfer-encoding: Chunked} H \"0123456789\" D+", 0, 0},
    {"chunk extensions", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b;c\r\nx\r\n2 ; d=\"e\"\r\nyz\r\n0 \r\n\r\n",
     "S200 {transfer-encoding: chunked} H \"xyz\" D+", 0, 0},
    {"trailers are dropped",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 9\r\nX: y\r\n z\r\n\r\n",
     "S200 {transfer-encoding: chunked} H D+", 0, 0},
    {"chunked, cut in a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
     "S200 {transfer-encoding: chunked} H \"hel\" B", 1, 0},
    {"chunked, cut before the last empty line", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
     "S200 {transfer-encoding: chunked} H B", 1, 0},
    {"204", "HTTP/1.1 204 No Content\r\n\r\n", "S204 H D+", 0, 0},
    {"304 with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "S304 {content-length: 5} H D+", 0, 0},
    {"an answer to HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "S200 {content-length: 5} H D+", 0, 1},
    {"an answer to HEAD, chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
     "S200 {transfer-encoding: chunked} H D+", 0, 1},
    {"what follows is left alone", "HTTP/1.1 204 \r\n\r\nHTTP/1.1 500", "S204 H D+", 0, 0},

    /* ---- may the connection be kept ---- */
    {"1.1, close", "HTTP/1.1 204 x\r\nConnection: close\r\n\r\n", "S204 {connection: close} H D-", 0, 0},
    {"1.1, close in a list", "HTTP/1.1 204 x\r\nConnection: Upgrade ,\t CLOSE\r\n\r\n",
     "S204 {connection: Upgrade ,\t CLOSE} H D-", 0, 0},
    {"1.1, not quite close", "HTTP/1.1 204 x\r\nConnection: closed, unclose\r\n\r\n", "S204 {connection: closed, unclose} H D+",
     0, 0},
    {"1.1, close wins", "HTTP/1.1 204 x\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n",
     "S204 {connection: keep-alive} {connection: close} H D-", 0, 0},
    {"1.0", "HTTP/1.0 204 x\r\n\r\n", "S204 H D-", 0, 0},
    {"1.0, keep-alive", "HTTP/1.0 204 x\r\nConnection: foo,Keep-Alive\r\n\r\n", "S204 {connection: foo,Keep-Alive} H D+", 0, 0},
    {"1.0, keep-alive without a length", "HTTP/1.0 200 x\r\nConnection: keep-alive\r\n\r\n",
     "S200 {connection: keep-alive} H D-", 1, 0},
    {"1.0, chunked is read and closed",
     "HTTP/1.0 200 x\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
     "S200 {connection: keep-alive} {transfer-encoding: chunked} H \"a\" D-", 0, 0},
    {"1.9 is 1.1", "HTTP/1.9 204 x\r\n\r\n", "S204 H D+", 0, 0},

    /* ---- interim responses ---- */
    {"100 first", "HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 204 x\r\n\r\n", "S204 H D+", 0, 0},
    {"framing of an interim response is not the final one's",
     "HTTP/1.1 103 x\r\nContent-Length: 9\r\nConnection: close\r\n\r\n\r\nHTTP/1.0 200 x\r\n\r\nhi", "S200 H \"hi\" D-", 1, 0},
    {"four of them", "HTTP/1.1 100\r\n\r\nHTTP/1.1 100\r\n\r\nHTTP/1.1 100\r\n\r\nHTTP/1.1 102\n\nHTTP/1.1 204\r\n\r\n",
     "S204 H D+", 0, 0},
    {"a fifth", "HTTP/1.1 100\n\nHTTP/1.1 100\n\nHTTP/1.1 100\n\nHTTP/1.1 100\n\nHTTP/1.1 100\n\nHTTP/1.1 204\n\n", "L", 0, 0},
    {"switching protocols", "HTTP/1.1 101 x\r\nUpgrade: h2c\r\n\r\n", "B", 0, 0},

    /* ---- what is accepted though nobody should send it ---- */
    {"bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", "S200 {content-length: 2} H \"hi\" D+", 0, 0},
    {"bare line feeds, chunked", "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\nhi\n0\n\n",
     "S200 {transfer-encoding: chunked} H \"hi\" D+", 0, 0},
    {"empty lines first", "\r\n\n\r\nHTTP/1.1 204 x\r\n\r\n", "S204 H D+", 0, 0},
    {"no reason", "HTTP/1.1 204\r\n\r\n", "S204 H D+", 0, 0},
    {"a reason beyond ASCII", "HTTP/1.1 204 d\xc3\xa9j\xe0\tvu\r\n\r\n", "S204 H D+", 0, 0},
    {"999", "HTTP/1.1 999 Denied\r\nContent-Length: 0\r\n\r\n", "S999 {content-length: 0} H D+", 0, 0},
    {"no space after the colon, and much", "HTTP/1.1 204 x\r\nA:b\r\nC: \t  d e \t\r\nF:\r\nG: \r\n\r\n",
     "S204 {a: b} {c: d e} {f: } {g: } H D+", 0, 0},
    {"folded", "HTTP/1.1 204 x\r\nA: b\r\n c\r\n\td\r\nE:\r\n f\r\n\r\n", "S204 {a: b c\td} {e: f} H D+", 0, 0},

    /* ---- what is not ---- */
    {"garbage", "\x16\x03\x01\x02", "B", 0, 0},
    {"nothing", "", "B", 1, 0},
    {"a stream of text", "SSH-2.0-OpenSSH_9.2\r\n", "B", 0, 0},
    {"HTTP/0.9", "<html>", "B", 0, 0},
    {"HTTP/2", "HTTP/2.0 200 OK\r\n\r\n", "B", 0, 0},
    {"no version", "HTTP 200 OK\r\n\r\n", "B", 0, 0},
    {"lower case", "http/1.1 200 OK\r\n\r\n", "B", 0, 0},
    {"two spaces", "HTTP/1.1  200 OK\r\n\r\n", "B", 0, 0},
    {"a status of two digits", "HTTP/1.1 20 OK\r\n\r\n", "B", 0, 0},
    {"a status of four", "HTTP/1.1 2000 OK\r\n\r\n", "B", 0, 0},
    {"a status below 100", "HTTP/1.1 099 OK\r\n\r\n", "B", 0, 0},
    {"a control character in the reason", "HTTP/1.1 200 O\x01K\r\n\r\n", "B", 0, 0},
    {"a bare CR in the reason", "HTTP/1.1 200 O\rK\r\n\r\n", "B", 0, 0},
    {"a bare CR before the status line", "\rHTTP/1.1 200 OK\r\n\r\n", "B", 0, 0},
    {"a bare CR in a value", "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", "S200 B", 0, 0},
    {"a bare CR for the empty line", "HTTP/1.1 200 OK\r\n\rx", "S200 B", 0, 0},
    {"a control character in a value", "HTTP/1.1 200 OK\r\nA: b\x7f\r\n\r\n", "S200 B", 0, 0},
    {"a line without a colon", "HTTP/1.1 200 OK\r\nhello\r\n\r\n", "S200 B", 0, 0},
    {"space before the colon", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "S200 B", 0, 0},
    {"no name", "HTTP/1.1 200 OK\r\n: b\r\n\r\n", "S200 B", 0, 0},
    {"folded, with nothing to fold", "HTTP/1.1 200 OK\r\n A: b\r\n\r\n", "S200 B", 0, 0},
    {"lengths that differ", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n", "S200 {content-length: 2} B",
     0, 0},
    {"lengths that differ in a list", "HTTP/1.1 200 OK\r\nContent-Length: 2,3\r\n\r\n", "S200 B", 0, 0},
    {"an empty length", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", "S200 B", 0, 0},
    {"a signed length", "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n", "S200 B", 0, 0},
    {"a length in hex", "HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\n", "S200 B", 0, 0},
    {"a length with a trailing comma", "HTTP/1.1 200 OK\r\nContent-Length: 5,\r\n\r\n", "S200 B", 0, 0},
    {"a folded length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n 0\r\n\r\n", "S200 B", 0, 0},
    {"the longest length", "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\nx",
     "S200 {content-length: 9223372036854775807} H \"x", 0, 0},
    {"a length beyond 2^63", "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n", "S200 B", 0, 0},
    {"a length beyond 2^64", "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551621\r\n\r\n", "S200 B", 0, 0},
    {"length and chunked", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
     "S200 {content-length: 2} {transfer-encoding: chunked} B", 0, 0},
    {"another transfer coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "S200 B", 0, 0},
    {"identity", "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n", "S200 B", 0, 0},
    {"chunked twice", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
     "S200 {transfer-encoding: chunked} B", 0, 0},
    {"no transfer coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\n", "S200 B", 0, 0},
    {"a chunk size that is none", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
     "S200 {transfer-encoding: chunked} H B", 0, 0},
    {"an empty chunk size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
     "S200 {transfer-encoding: chunked} H B", 0, 0},
    {"a chunk size with an extension and no size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n;a\r\n",
     "S200 {transfer-encoding: chunked} H B", 0, 0},
    {"a negative chunk size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
     "S200 {transfer-encoding: chunked} H B", 0, 0},
    {"a chunk size in two words", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1 1\r\n",
     "S200 {transfer-encoding: chunked} H B", 0, 0},
    {"a chunk size beyond 2^63", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8000000000000000\r\n",
     "S200 {transfer-encoding: chunked} H B", 0, 0},
    {"a chunk size beyond 2^64", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000001\r\n",
     "S200 {transfer-encoding: chunked} H B", 0, 0},
    {"a chunk longer than it says", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n",
     "S200 {transfer-encoding: chunked} H \"he\" B", 0, 0},
    {"a bare CR after a chunk size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\rhi",
     "S200 {transfer-encoding: chunked} H B", 0, 0},
    {"a bare CR after a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r2\r\n",
     "S200 {transfer-encoding: chunked} H \"hi\" B", 0, 0},
    {"a control character in a chunk extension", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;\x01\r\n",
     "S200 {transfer-encoding: chunked} H B", 0, 0},
    {"a malformed trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nhello\r\n\r\n",
     "S200 {transfer-encoding: chunked} H B", 0, 0},
};

static void expect(const http1_log *log, const char *expected, const char *claim) {
    if (strcmp(log->text, expected) == 0) return;
    fprintf(stderr, "%s\n  expected: %s\n  but was:  %s\n", claim, expected, log->text);
    abort();
}

static http1_log *fresh_log(void) {
    static http1_log log;
    log.len = 0;
    log.text[0] = '\0';
    log.in_body = false;
    return &log;
}

static void every_sample_comes_to_what_is_written_beside_it_however_it_is_cut_in_two(void) {
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        const sample *s = &samples[i];
        const size_t len = strlen(s->response);
        for (size_t cut = 0; cut <= len; cut++) {
            http1_log *log = fresh_log();
            fp_http1 parser;
            size_t left;
            fp_http1_init(&parser, s->head);
            const bool ended = http1_log_piece(log, &parser, s->response, cut, &left) ||
                               http1_log_piece(log, &parser, s->response + cut, len - cut, &left);
            if (s->eof && !ended) http1_log_eof(log, &parser);
            expect(log, s->expected, s->claim);
        }
    }
}

static void one_byte_at_a_time_changes_nothing(void) {
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        const sample *s = &samples[i];
        http1_log *log = fresh_log();
        fp_http1 parser;
        size_t left, len = strlen(s->response);
        bool ended = false;
        fp_http1_init(&parser, s->head);
        for (size_t at = 0; at < len && !ended; at++) ended = http1_log_piece(log, &parser, s->response + at, 1, &left);
        if (s->eof && !ended) http1_log_eof(log, &parser);
        expect(log, s->expected, s->claim);
    }
}

static void bytes_after_the_end_are_left_to_the_caller(void) {
    fp_http1 parser;
    size_t left;
    fp_http1_init(&parser, false);
    CHECK(http1_log_piece(fresh_log(), &parser, "HTTP/1.1 204 x\r\n\r\nnext", 22, &left));
    CHECK_EQ(left, 4);
    CHECK_EQ(fp_http1_eof(&parser), FP_HTTP1_DONE); /* an end of file after the end changes nothing */
}

static void an_end_is_final(void) {
    static const char *const responses[] = {"HTTP/1.1 204 x\r\n\r\n", "garbage", "HTTP/1.1 101 x\r\n"};
    static const int events[] = {FP_HTTP1_DONE, FP_HTTP1_BAD, FP_HTTP1_BAD};
    for (size_t i = 0; i < 3; i++) {
        fp_http1 parser;
        size_t left, more = 5, body_len;
        const char *at = "hello", *body;
        fp_http1_init(&parser, false);
        CHECK(http1_log_piece(fresh_log(), &parser, responses[i], strlen(responses[i]), &left));
        CHECK_EQ(fp_http1_next(&parser, &at, &more, &body, &body_len), events[i]);
        CHECK_EQ(more, 5);
        CHECK_EQ(fp_http1_eof(&parser), events[i]);
    }
}

/* A response of exactly `bytes` bytes up to the end of its headers. */
static char *response_with_head_of(size_t bytes, size_t *len) {
    static const char start[] = "HTTP/1.1 204 x\r\n", end[] = "\r\n\r\n",
                      line[] = "A: 0123456789012345678901234567890123456789\r\n";
    char *text = malloc(bytes + 1);
    CHECK(text != NULL);
    size_t at = sizeof start - 1;
    memcpy(text, start, at);
    while (at + (sizeof line - 1) + sizeof "B: " + sizeof end <= bytes) {
        memcpy(text + at, line, sizeof line - 1);
        at += sizeof line - 1;
    }
    memcpy(text + at, "B: ", 3);
    memset(text + at + 3, 'b', bytes - at - 3);
    memcpy(text + bytes - (sizeof end - 1), end, sizeof end - 1);
    *len = bytes;
    return text;
}

static int last_event(const char *text, size_t len, size_t piece_len) {
    fp_http1 parser;
    fp_http1_init(&parser, false);
    int event = FP_HTTP1_MORE;
    for (size_t at = 0; at < len && !http1_is_final(event); at += piece_len) {
        const char *data = text + at, *body;
        size_t ready = len - at < piece_len ? len - at : piece_len, body_len;
        do event = fp_http1_next(&parser, &data, &ready, &body, &body_len);
        while (event > 0 && event != FP_HTTP1_DONE);
    }
    return event;
}

static void the_header_limit_is_exact_for_every_size_of_piece(void) {
    static const size_t pieces[] = {1, 7, 1000, 1u << 20};
    for (size_t i = 0; i < 4; i++) {
        size_t len;
        char *fits = response_with_head_of(FP_HTTP1_HEADER_LIMIT, &len);
        CHECK_EQ(last_event(fits, len, pieces[i]), FP_HTTP1_DONE);
        free(fits);
        char *over = response_with_head_of(FP_HTTP1_HEADER_LIMIT + 1, &len);
        CHECK_EQ(last_event(over, len, pieces[i]), FP_HTTP1_TOO_LARGE);
        free(over);
    }
}

static void endless_parts_end_at_a_bound(void) {
    static const struct {
        const char *start;
        char endless;
        int event;
    } cases[] = {
        {"", '\n', FP_HTTP1_TOO_LARGE},
        {"HTTP/1.1 200 ", 'x', FP_HTTP1_TOO_LARGE},
        {"HTTP/1.1 200 OK\r\n", 'x', FP_HTTP1_TOO_LARGE},
        {"HTTP/1.1 200 OK\r\nA:", ' ', FP_HTTP1_TOO_LARGE},
        {"HTTP/1.1 200 OK\r\nA: b", 'x', FP_HTTP1_TOO_LARGE},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", '0', FP_HTTP1_BAD},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1", ' ', FP_HTTP1_BAD},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", 'x', FP_HTTP1_BAD},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b", 'x', FP_HTTP1_TOO_LARGE},
    };
    static char text[2 * FP_HTTP1_HEADER_LIMIT];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        memset(text, cases[i].endless, sizeof text);
        memcpy(text, cases[i].start, strlen(cases[i].start));
        CHECK_EQ(last_event(text, sizeof text, sizeof text), cases[i].event);
        CHECK_EQ(last_event(text, sizeof text, 1), cases[i].event);
    }
}

static void an_endless_body_is_handed_on_in_pieces_of_what_was_fed(void) {
    static char junk[4096];
    const char *head = "HTTP/1.1 200 OK\r\n\r\n";
    fp_http1 parser;
    size_t left;
    fp_http1_init(&parser, false);
    CHECK(!http1_log_piece(fresh_log(), &parser, head, strlen(head), &left));
    for (int i = 0; i < 1000; i++) {
        const char *at = junk, *body;
        size_t len = sizeof junk, body_len;
        CHECK_EQ(fp_http1_next(&parser, &at, &len, &body, &body_len), FP_HTTP1_BODY);
        CHECK(body == junk && body_len == sizeof junk && len == 0);
    }
}

static void long_names_and_values_are_cut_and_flagged(void) {
    char text[1024] = "HTTP/1.1 204 x\r\n", expected[1024] = "S204 {";
    char name[FP_HTTP1_NAME + 1], value[FP_HTTP1_VALUE + 1];
    memset(name, 'n', FP_HTTP1_NAME);
    memset(value, 'v', FP_HTTP1_VALUE);
    name[FP_HTTP1_NAME] = value[FP_HTTP1_VALUE] = '\0';
    snprintf(text + strlen(text), 500, "%s: %s  \r\n", name, value); /* exactly fits, the spaces do not count */
    snprintf(text + strlen(text), 500, "%sN: %sv\r\n\r\n", name, value);
    snprintf(expected + strlen(expected), 500, "%s: %s} {", name, value);
    snprintf(expected + strlen(expected), 500, "%s~: %s~} H D+", name, value);
    for (size_t cut = 0; cut <= strlen(text); cut++) {
        fp_http1 parser;
        size_t left;
        http1_log *log = fresh_log();
        fp_http1_init(&parser, false);
        if (!http1_log_piece(log, &parser, text, cut, &left))
            CHECK(http1_log_piece(log, &parser, text + cut, strlen(text) - cut, &left));
        expect(log, expected, "long names and values");
    }
}

static void framing_that_was_cut_off_is_not_believed(void) {
    char text[1024];
    http1_log *log = fresh_log();
    fp_http1 parser;
    size_t left;
    snprintf(text, sizeof text, "HTTP/1.1 204 x\r\nConnection: %0300d\r\n\r\n", 0);
    fp_http1_init(&parser, false);
    CHECK(http1_log_piece(log, &parser, text, strlen(text), &left));
    CHECK(!parser.keep_alive);
    snprintf(text, sizeof text, "HTTP/1.1 200 x\r\nContent-Length: %0300d\r\n\r\n", 0);
    CHECK_EQ(last_event(text, strlen(text), 1), FP_HTTP1_BAD);
}

int main(void) {
    RUN(every_sample_comes_to_what_is_written_beside_it_however_it_is_cut_in_two);
    RUN(one_byte_at_a_time_changes_nothing);
    RUN(bytes_after_the_end_are_left_to_the_caller);
    RUN(an_end_is_final);
    RUN(the_header_limit_is_exact_for_every_size_of_piece);
    RUN(endless_parts_end_at_a_bound);
    RUN(an_endless_body_is_handed_on_in_pieces_of_what_was_fed);
    RUN(long_names_and_values_are_cut_and_flagged);
    RUN(framing_that_was_cut_off_is_not_believed);
    return 0;
}
