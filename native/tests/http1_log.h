/* http1_log.h - what a parser said about a response, as one line of text that can be compared.
 *
 *   S200 {name: value} {cut~: cut~} H "body" D+      done, the connection may be kept (D- may not); B bad; L too large; . wants
 * more
 *
 * Pieces of a body are joined: where they were cut is the sender's affair. */
#ifndef FASTPROBE_HTTP1_LOG_H
#define FASTPROBE_HTTP1_LOG_H
#include "check.h"
#include "fastprobe/http1.h"
#include <stdarg.h>

typedef struct http1_log {
    char text[1u << 17];
    size_t len;
    bool in_body;
} http1_log;

static inline void http1_log_bytes(http1_log *log, const char *bytes, size_t len) {
    CHECK(log->len + len < sizeof log->text);
    memcpy(log->text + log->len, bytes, len);
    log->len += len;
    log->text[log->len] = '\0';
}

static inline void http1_log_text(http1_log *log, const char *text) {
    http1_log_bytes(log, text, strlen(text));
}

static inline void http1_log_event(http1_log *log, const fp_http1 *parser, int event, const char *body, size_t body_len) {
    if (log->in_body && event != FP_HTTP1_BODY && event != FP_HTTP1_MORE) {
        http1_log_text(log, "\" ");
        log->in_body = false;
    }
    char status[16];
    switch (event) {
    case FP_HTTP1_MORE:
        break;
    case FP_HTTP1_STATUS:
        snprintf(status, sizeof status, "S%u ", parser->status);
        http1_log_text(log, status);
        break;
    case FP_HTTP1_HEADER:
        http1_log_text(log, "{");
        http1_log_bytes(log, parser->name, parser->name_len);
        http1_log_text(log, parser->name_cut ? "~: " : ": ");
        http1_log_bytes(log, parser->value, parser->value_len);
        http1_log_text(log, parser->value_cut ? "~} " : "} ");
        break;
    case FP_HTTP1_HEADERS_END:
        http1_log_text(log, "H ");
        break;
    case FP_HTTP1_BODY:
        CHECK(body_len > 0);
        if (!log->in_body) http1_log_text(log, "\"");
        log->in_body = true;
        http1_log_bytes(log, body, body_len);
        break;
    case FP_HTTP1_DONE:
        http1_log_text(log, parser->keep_alive ? "D+" : "D-");
        break;
    case FP_HTTP1_BAD:
        http1_log_text(log, "B");
        break;
    case FP_HTTP1_TOO_LARGE:
        http1_log_text(log, "L");
        break;
    default:
        CHECK(!"an event of the enum");
    }
}

static inline bool http1_is_final(int event) {
    return event == FP_HTTP1_DONE || event < 0;
}

/* Everything the parser has to say about one piece; true once it is at an end. What was left unconsumed goes to *left. */
static inline bool http1_log_piece(http1_log *log, fp_http1 *parser, const char *piece, size_t len, size_t *left) {
    const char *at = piece, *body;
    size_t body_len;
    int event;
    do {
        const char *before = at;
        event = fp_http1_next(parser, &at, &len, &body, &body_len);
        CHECK(at >= before);
        CHECK(parser->name_len <= FP_HTTP1_NAME && parser->value_len <= FP_HTTP1_CHUNK_LINE + 1);
        CHECK(parser->header_bytes <= FP_HTTP1_HEADER_LIMIT);
        if (event == FP_HTTP1_BODY) CHECK(body >= before && body + body_len == at);
        http1_log_event(log, parser, event, body, body_len);
    } while (event != FP_HTTP1_MORE && !http1_is_final(event));
    if (event == FP_HTTP1_MORE) CHECK_EQ(len, 0);
    *left = len;
    return http1_is_final(event);
}

static inline void http1_log_eof(http1_log *log, fp_http1 *parser) {
    http1_log_event(log, parser, fp_http1_eof(parser), NULL, 0);
}

#endif
