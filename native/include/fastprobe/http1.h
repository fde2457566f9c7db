/* http1.h - an incremental HTTP/1.x response parser that allocates nothing and calls nobody.
 *
 * Feed it bytes as they come; it hands back events one at a time, the same ones however the bytes were cut into pieces. Header
 * names arrive lower-cased, values without the whitespace around them; names over FP_HTTP1_NAME bytes or values over
 * FP_HTTP1_VALUE bytes are cut there (and flagged), the bytes still count towards the header limit.
 *
 * Framing follows RFC 9112 section 6.3, read strictly where leniency lets responses be confused. All FP_HTTP1_BAD: a
 * transfer-encoding other than "chunked" alone, both length and chunked, differing content-lengths, bad chunk sizes or chunk
 * lines over FP_HTTP1_CHUNK_LINE bytes, bare CR, control characters, space before a header's colon, 101 (no upgrade was asked
 * for). Accepted: leading empty lines, bare LF as line ends, a missing reason phrase, obsolete line folding (RFC 9112
 * section 5.2 asks it of clients). Other 1xx responses are skipped, at most FP_HTTP1_INTERIM of them; trailers are read,
 * counted as headers and dropped. */
#ifndef FASTPROBE_HTTP1_H
#define FASTPROBE_HTTP1_H
#include "fastprobe/base.h"

#define FP_HTTP1_NAME         64u
#define FP_HTTP1_VALUE        256u
#define FP_HTTP1_INTERIM      4u
#define FP_HTTP1_CHUNK_LINE   256u
#define FP_HTTP1_HEADER_LIMIT (16u * 1024u) /* bytes of status line, headers and trailers, interim responses included */

enum fp_http1_event {
    FP_HTTP1_MORE = 0, /* all bytes consumed: feed more */
    FP_HTTP1_STATUS,   /* parser->status is set (final responses only) */
    FP_HTTP1_HEADER,   /* parser->name / value, with lengths, hold one header (final responses only) */
    FP_HTTP1_HEADERS_END,
    FP_HTTP1_BODY,           /* *body, *body_len: a piece of the decoded body, inside the bytes you fed */
    FP_HTTP1_DONE,           /* the response is whole; keep_alive tells whether the connection may be reused */
    FP_HTTP1_BAD = -1,       /* malformed */
    FP_HTTP1_TOO_LARGE = -2, /* headers over the limit, or too many interim responses */
};

typedef struct fp_http1 {
    uint64_t remaining; /* of the body, or of the chunk */
    uint32_t header_bytes;
    uint16_t status;
    uint16_t value_len; /* private outside of HEADER, like name_len */
    uint8_t name_len;
    uint8_t phase; /* private: where in the grammar */
    uint8_t flags; /* private */
    uint8_t interim;
    bool keep_alive;
    bool head; /* answer to a HEAD request: no body whatever the headers say */
    bool value_cut;
    bool name_cut;
    char name[FP_HTTP1_NAME];
    char value[FP_HTTP1_VALUE];
} fp_http1;

void fp_http1_init(fp_http1 *parser, bool answer_to_head);

/* Consume from *data (advancing *data and *len) up to the next event. After DONE, BAD or TOO_LARGE the parser stays there;
 * bytes after DONE are left unconsumed. */
int fp_http1_next(fp_http1 *parser, const char **data, size_t *len, const char **body, size_t *body_len);

/* The peer closed. DONE when that ends the body by definition, otherwise BAD (the answer was cut). */
int fp_http1_eof(fp_http1 *parser);

#endif
