#include "fastprobe/http1.h"
#include <assert.h>
#include <string.h>
#include <strings.h>

/* The grammar, in the order a response goes through it. Up to LAST_HEAD bytes count towards the header limit. */
enum phase {
    LEADING, /* empty lines before a status line */
    LEADING_LF,
    STATUS_LINE,
    REASON,
    STATUS_LF,
    FIELD, /* at the start of a line; a finished header may wait for the first byte that tells whether the line goes on */
    FIELD_NAME,
    FIELD_VALUE,
    FIELD_LF,
    END_LF,
    LAST_HEAD = END_LF,

    BODY_LENGTH,
    BODY_TO_EOF,
    CHUNK_SIZE,
    CHUNK_SIZE_DIGITS,
    CHUNK_SPACE,
    CHUNK_EXTENSION,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_END,
    CHUNK_DATA_LF,

    DONE,
    BAD,
    TOO_LARGE,
};

enum flag {
    MINOR_1 = 1, /* HTTP/1.1 or a later minor version */
    LENGTH = 2,  /* a content-length was seen; its value is in `remaining` */
    CHUNKED = 4, /* transfer-encoding: chunked was seen */
    CLOSE = 8,   /* connection: close */
    KEEP_ALIVE = 16,
    WAITING = 32, /* name and value hold a header that has not been handed out */
    TRAILER = 64,
};

#define GO 1000 /* from a phase: no event, go on */

typedef struct cursor {
    const char *at;
    const char *end;
    const char *body;
    size_t body_len;
} cursor;

void fp_http1_init(fp_http1 *parser, bool answer_to_head) {
    assert(parser);
    memset(parser, 0, offsetof(fp_http1, name));
    parser->head = answer_to_head;
}

static int go(fp_http1 *parser, enum phase phase) {
    parser->phase = (uint8_t)phase;
    return GO;
}

static int go_past(fp_http1 *parser, cursor *in, enum phase phase) {
    in->at++;
    return go(parser, phase);
}

static int bad(fp_http1 *parser) {
    parser->phase = BAD;
    return FP_HTTP1_BAD;
}

static int too_large(fp_http1 *parser) {
    parser->phase = TOO_LARGE;
    return FP_HTTP1_TOO_LARGE;
}

static bool has(const fp_http1 *parser, enum flag flag) {
    return (parser->flags & flag) != 0;
}

static void set(fp_http1 *parser, enum flag flag) {
    parser->flags = (uint8_t)(parser->flags | flag);
}

static void clear(fp_http1 *parser, enum flag flag) {
    parser->flags = (uint8_t)(parser->flags & ~flag);
}

static bool is_interim(const fp_http1 *parser) {
    return parser->status < 200;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_space(char c) {
    return c == ' ' || c == '\t';
}

/* What may stand in a reason phrase, a header's value or a chunk extension: no control characters but the tab. */
static bool is_text(char c) {
    return ((unsigned char)c >= ' ' && c != 0x7f) || c == '\t';
}

/* The first byte that is no text. Eight at a time for as long as a word holds no byte under a space and no DEL, which a borrow
 * tells: the test for a byte less than n of "Bit Twiddling Hacks" by Sean Eron Anderson. Tabs are under a space, and text. */
static const char *end_of_text(const char *at, const char *end) {
    const uint64_t ones = UINT64_MAX / 255, tops = ones << 7;
    for (uint64_t word; end - at >= (ptrdiff_t)sizeof word; at += sizeof word) {
        memcpy(&word, at, sizeof word);
        const uint64_t del = word ^ ones * 0x7f;
        if ((((word - ones * ' ') & ~word) | ((del - ones) & ~del)) & tops) break;
    }
    while (at < end && is_text(*at)) at++;
    return at;
}

/* A token's character in lower case, 0 for what cannot stand in one. */
static const char token[256] = {
    ['!'] = '!', ['#'] = '#', ['$'] = '$', ['%'] = '%', ['&'] = '&', ['\''] = '\'', ['*'] = '*', ['+'] = '+', ['-'] = '-',
    ['.'] = '.', ['^'] = '^', ['_'] = '_', ['`'] = '`', ['|'] = '|', ['~'] = '~',   ['0'] = '0', ['1'] = '1', ['2'] = '2',
    ['3'] = '3', ['4'] = '4', ['5'] = '5', ['6'] = '6', ['7'] = '7', ['8'] = '8',   ['9'] = '9', ['A'] = 'a', ['B'] = 'b',
    ['C'] = 'c', ['D'] = 'd', ['E'] = 'e', ['F'] = 'f', ['G'] = 'g', ['H'] = 'h',   ['I'] = 'i', ['J'] = 'j', ['K'] = 'k',
    ['L'] = 'l', ['M'] = 'm', ['N'] = 'n', ['O'] = 'o', ['P'] = 'p', ['Q'] = 'q',   ['R'] = 'r', ['S'] = 's', ['T'] = 't',
    ['U'] = 'u', ['V'] = 'v', ['W'] = 'w', ['X'] = 'x', ['Y'] = 'y', ['Z'] = 'z',   ['a'] = 'a', ['b'] = 'b', ['c'] = 'c',
    ['d'] = 'd', ['e'] = 'e', ['f'] = 'f', ['g'] = 'g', ['h'] = 'h', ['i'] = 'i',   ['j'] = 'j', ['k'] = 'k', ['l'] = 'l',
    ['m'] = 'm', ['n'] = 'n', ['o'] = 'o', ['p'] = 'p', ['q'] = 'q', ['r'] = 'r',   ['s'] = 's', ['t'] = 't', ['u'] = 'u',
    ['v'] = 'v', ['w'] = 'w', ['x'] = 'x', ['y'] = 'y', ['z'] = 'z',
};

/* ---- the status line ---- */

static int leading(fp_http1 *parser, cursor *in) {
    if (*in->at == '\n') return go_past(parser, in, LEADING);
    if (*in->at == '\r') return go_past(parser, in, LEADING_LF);
    parser->status = 0;
    parser->name_len = 0; /* counts the bytes of the status line */
    return go(parser, STATUS_LINE);
}

/* The rest of a line end that began with CR: anything else was a bare CR. */
static bool takes_lf(cursor *in) {
    return *in->at++ == '\n';
}

/* The same where it is here already, as it mostly is: the phase that would wait for it is passed by. */
static bool lf_is_here(cursor *in) {
    const bool here = in->at < in->end && *in->at == '\n';
    in->at += here;
    return here;
}

static int status_line_done(fp_http1 *parser) {
    parser->phase = FIELD;
    if (!is_interim(parser)) return FP_HTTP1_STATUS;
    if (parser->status == 101) return bad(parser);
    return ++parser->interim > FP_HTTP1_INTERIM ? too_large(parser) : GO;
}

static int reason(fp_http1 *parser, cursor *in) {
    in->at = end_of_text(in->at, in->end);
    if (in->at == in->end) return FP_HTTP1_MORE;
    const char c = *in->at++;
    if (c == '\r') return lf_is_here(in) ? status_line_done(parser) : go(parser, STATUS_LF);
    return c == '\n' ? status_line_done(parser) : bad(parser);
}

/* A line that is here up to its status, and sound that far, in one look: nearly every one. */
static void usual_status_line(fp_http1 *parser, cursor *in) {
    const char *at = in->at;
    if (parser->name_len > 0 || in->end - at < 12 || memcmp(at, "HTTP/1.", 7) != 0) return;
    if (!is_digit(at[7]) || at[8] != ' ' || at[9] == '0' || !is_digit(at[9]) || !is_digit(at[10]) || !is_digit(at[11])) return;
    if (at[7] != '0') set(parser, MINOR_1);
    parser->status = (uint16_t)((at[9] - '0') * 100 + (at[10] - '0') * 10 + (at[11] - '0'));
    parser->name_len = 12;
    in->at += 12;
}

/* "HTTP/1.m nnn", byte by byte, then a space or the end of the line. */
static int status_line(fp_http1 *parser, cursor *in) {
    static const char start[] = "HTTP/1.m ";
    usual_status_line(parser, in);
    while (in->at < in->end) {
        const char c = *in->at++;
        const unsigned position = parser->name_len++;
        if (position == 7) {
            if (!is_digit(c)) return bad(parser);
            if (c != '0') set(parser, MINOR_1);
        } else if (position < 9) {
            if (c != start[position]) return bad(parser);
        } else if (position < 12) {
            if (!is_digit(c) || (position == 9 && c == '0')) return bad(parser);
            parser->status = (uint16_t)(parser->status * 10 + (c - '0'));
        } else {
            parser->phase = REASON;
            if (c == ' ') return reason(parser, in);
            if (c == '\r') return go(parser, STATUS_LF);
            return c == '\n' ? status_line_done(parser) : bad(parser);
        }
    }
    return FP_HTTP1_MORE;
}

/* ---- what a finished header says about the framing ---- */

/* One list element of a header's value, and where the next begins. */
typedef struct element {
    const char *text;
    size_t len;
} element;

static bool next_element(const char **at, const char *end, element *out) {
    if (*at > end) return false;
    const char *comma = memchr(*at, ',', (size_t)(end - *at));
    const char *stop = comma ? comma : end, *start = *at;
    *at = stop + 1; /* past the end after the last one, which ends the list */
    while (start < stop && is_space(*start)) start++;
    while (stop > start && is_space(stop[-1])) stop--;
    *out = (element){start, (size_t)(stop - start)};
    return true;
}

static bool is_word(element found, const char *word) {
    return found.len == strlen(word) && strncasecmp(found.text, word, found.len) == 0;
}

/* 1*DIGIT below 2^63. */
static bool read_length(element digits, uint64_t *out) {
    uint64_t value = 0;
    if (digits.len == 0) return false;
    for (size_t i = 0; i < digits.len; i++) {
        if (!is_digit(digits.text[i])) return false;
        const uint64_t digit = (uint64_t)(digits.text[i] - '0');
        if (value > (INT64_MAX - digit) / 10) return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

/* Several lengths, in one header or many, are one length when they agree (RFC 9112 section 6.3, fifth rule). */
static bool take_content_length(fp_http1 *parser) {
    const char *at = parser->value, *const end = at + parser->value_len;
    element digits;
    while (next_element(&at, end, &digits)) {
        uint64_t value;
        if (!read_length(digits, &value)) return false;
        if (has(parser, LENGTH) && value != parser->remaining) return false;
        parser->remaining = value;
        set(parser, LENGTH);
    }
    return !parser->value_cut;
}

/* We never offer another coding, so a server may not use one; and chunked twice is nonsense. */
static bool take_transfer_encoding(fp_http1 *parser) {
    const bool first = !has(parser, CHUNKED);
    set(parser, CHUNKED);
    return first && !parser->value_cut && is_word((element){parser->value, parser->value_len}, "chunked");
}

static void take_connection(fp_http1 *parser) {
    const char *at = parser->value, *const end = at + parser->value_len;
    element word;
    while (next_element(&at, end, &word)) {
        if (is_word(word, "close")) set(parser, CLOSE);
        if (is_word(word, "keep-alive")) set(parser, KEEP_ALIVE);
    }
    if (parser->value_cut) set(parser, CLOSE); /* what was cut off might have said so */
}

static bool is_named(const fp_http1 *parser, const char *name, size_t len) {
    return parser->name_len == len && memcmp(parser->name, name, len) == 0;
}
#define IS_NAMED(parser, name) is_named(parser, name, sizeof(name) - 1)

static int hand_out_header(fp_http1 *parser) {
    clear(parser, WAITING);
    if (is_interim(parser) || has(parser, TRAILER)) return GO;
    while (parser->value_len > 0 && is_space(parser->value[parser->value_len - 1])) parser->value_len--;
    if (IS_NAMED(parser, "content-length") && !take_content_length(parser)) return bad(parser);
    if (IS_NAMED(parser, "transfer-encoding") && !take_transfer_encoding(parser)) return bad(parser);
    if (IS_NAMED(parser, "connection")) take_connection(parser);
    return FP_HTTP1_HEADER;
}

/* ---- headers and trailers ---- */

static bool may_keep_alive(const fp_http1 *parser) {
    if (has(parser, CLOSE)) return false;
    if (has(parser, MINOR_1)) return true;
    /* RFC 9112 section 6.1: chunked from HTTP/1.0 is faulty framing; read it, then close. */
    return has(parser, KEEP_ALIVE) && !has(parser, CHUNKED);
}

/* RFC 9112 section 6.3: which rule ends this body. */
static int begin_body(fp_http1 *parser) {
    if (has(parser, CHUNKED) && has(parser, LENGTH)) return bad(parser);
    parser->keep_alive = may_keep_alive(parser);
    if (parser->head || parser->status == 204 || parser->status == 304) {
        parser->phase = DONE;
    } else if (has(parser, CHUNKED)) {
        parser->phase = CHUNK_SIZE;
    } else if (has(parser, LENGTH)) {
        parser->phase = parser->remaining > 0 ? BODY_LENGTH : DONE;
    } else {
        parser->phase = BODY_TO_EOF;
        parser->keep_alive = false;
    }
    return FP_HTTP1_HEADERS_END;
}

static int headers_done(fp_http1 *parser) {
    if (has(parser, TRAILER)) return go(parser, DONE);
    if (!is_interim(parser)) return begin_body(parser);
    parser->flags = 0;
    return go(parser, LEADING);
}

static void keep_value(fp_http1 *parser, const char *text, size_t len) {
    while (parser->value_len == 0 && len > 0 && is_space(*text)) text++, len--;
    const size_t room = FP_HTTP1_VALUE - parser->value_len, kept = len < room ? len : room;
    memcpy(parser->value + parser->value_len, text, kept);
    parser->value_len = (uint16_t)(parser->value_len + kept);
    for (size_t i = kept; i < len && !parser->value_cut; i++) parser->value_cut = !is_space(text[i]);
}

static int field_done(fp_http1 *parser) {
    set(parser, WAITING);
    return go(parser, FIELD);
}

static int field_value(fp_http1 *parser, cursor *in) {
    const char *start = in->at;
    in->at = end_of_text(start, in->end);
    keep_value(parser, start, (size_t)(in->at - start));
    if (in->at == in->end) return FP_HTTP1_MORE;
    const char c = *in->at++;
    if (c == '\r') return lf_is_here(in) ? field_done(parser) : go(parser, FIELD_LF);
    return c == '\n' ? field_done(parser) : bad(parser);
}

static int field_name(fp_http1 *parser, cursor *in) {
    const char *at = in->at, *const end = in->end;
    const ptrdiff_t room = (ptrdiff_t)FP_HTTP1_NAME - parser->name_len;
    const char *const full = end - at > room ? at + room : end;
    char *name = parser->name + parser->name_len;
    for (char c; at < full && (c = token[(unsigned char)*at]); at++) *name++ = c;
    parser->name_len = (uint8_t)(name - parser->name);
    for (; at < end && token[(unsigned char)*at]; at++) parser->name_cut = true;
    in->at = at;
    if (at == end) return FP_HTTP1_MORE;
    if (*in->at++ != ':') return bad(parser);
    parser->phase = FIELD_VALUE;
    return field_value(parser, in);
}

static int field(fp_http1 *parser, cursor *in) {
    const char c = *in->at;
    if (has(parser, WAITING)) {
        if (!is_space(c)) return hand_out_header(parser); /* c is looked at again */
        clear(parser, WAITING);
        return go(parser, FIELD_VALUE); /* a folded line: its leading space joins the value */
    }
    if (c == '\r' || c == '\n') {
        in->at++;
        return c == '\n' || lf_is_here(in) ? headers_done(parser) : go(parser, END_LF);
    }
    parser->name_len = 0;
    parser->value_len = 0;
    parser->name_cut = false;
    parser->value_cut = false;
    if (!token[(unsigned char)c]) return bad(parser);
    parser->phase = FIELD_NAME;
    return field_name(parser, in);
}

/* ---- the body ---- */

/* Up to `limit` bytes of what is there. */
static int piece(cursor *in, uint64_t limit) {
    const size_t ready = (size_t)(in->end - in->at);
    in->body = in->at;
    in->body_len = ready < limit ? ready : (size_t)limit;
    in->at += in->body_len;
    return FP_HTTP1_BODY;
}

static int counted_piece(fp_http1 *parser, cursor *in, enum phase next) {
    piece(in, parser->remaining);
    parser->remaining -= in->body_len;
    if (parser->remaining == 0) parser->phase = (uint8_t)next;
    return FP_HTTP1_BODY;
}

static int hex_value(char c) {
    if (is_digit(c)) return c - '0';
    const char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static int chunk_size(fp_http1 *parser, cursor *in) {
    if (hex_value(*in->at) < 0) return bad(parser);
    parser->remaining = 0;
    parser->value_len = 0; /* counts the bytes of the chunk's line */
    return go(parser, CHUNK_SIZE_DIGITS);
}

static int chunk_line_done(fp_http1 *parser) {
    if (parser->remaining > 0) return go(parser, CHUNK_DATA);
    set(parser, TRAILER);
    return go(parser, FIELD);
}

/* Digits, then spaces, then an extension of any text: each step only forward. */
static int chunk_line(fp_http1 *parser, cursor *in) {
    while (in->at < in->end) {
        const char c = *in->at++;
        if (++parser->value_len > FP_HTTP1_CHUNK_LINE) return bad(parser);
        if (c == '\n') return chunk_line_done(parser);
        if (c == '\r') return go(parser, CHUNK_SIZE_LF);
        const int digit = parser->phase == CHUNK_SIZE_DIGITS ? hex_value(c) : -1;
        if (digit >= 0) {
            if (parser->remaining > INT64_MAX >> 4) return bad(parser);
            parser->remaining = parser->remaining << 4 | (uint64_t)digit;
        } else if (parser->phase == CHUNK_EXTENSION) {
            if (!is_text(c)) return bad(parser);
        } else if (c == ';') {
            parser->phase = CHUNK_EXTENSION;
        } else if (is_space(c)) {
            parser->phase = CHUNK_SPACE;
        } else {
            return bad(parser);
        }
    }
    return FP_HTTP1_MORE;
}

static int chunk_data_end(fp_http1 *parser, cursor *in) {
    if (*in->at == '\n') return go_past(parser, in, CHUNK_SIZE);
    return *in->at == '\r' ? go_past(parser, in, CHUNK_DATA_LF) : bad(parser);
}

/* ---- one function moves through the phases ---- */

/* Called with at least one byte ready. */
static int advance(fp_http1 *parser, cursor *in) {
    switch ((enum phase)parser->phase) {
    case LEADING:
        return leading(parser, in);
    case LEADING_LF:
        return takes_lf(in) ? go(parser, LEADING) : bad(parser);
    case STATUS_LINE:
        return status_line(parser, in);
    case REASON:
        return reason(parser, in);
    case STATUS_LF:
        return takes_lf(in) ? status_line_done(parser) : bad(parser);
    case FIELD:
        return field(parser, in);
    case FIELD_NAME:
        return field_name(parser, in);
    case FIELD_VALUE:
        return field_value(parser, in);
    case FIELD_LF:
        return takes_lf(in) ? field_done(parser) : bad(parser);
    case END_LF:
        return takes_lf(in) ? headers_done(parser) : bad(parser);
    case BODY_LENGTH:
        return counted_piece(parser, in, DONE);
    case BODY_TO_EOF:
        return piece(in, UINT64_MAX);
    case CHUNK_SIZE:
        return chunk_size(parser, in);
    case CHUNK_SIZE_DIGITS:
    case CHUNK_SPACE:
    case CHUNK_EXTENSION:
        return chunk_line(parser, in);
    case CHUNK_SIZE_LF:
        return takes_lf(in) ? chunk_line_done(parser) : bad(parser);
    case CHUNK_DATA:
        return counted_piece(parser, in, CHUNK_DATA_END);
    case CHUNK_DATA_END:
        return chunk_data_end(parser, in);
    case CHUNK_DATA_LF:
        return takes_lf(in) ? go(parser, CHUNK_SIZE) : bad(parser);
    case DONE:
    case BAD:
    case TOO_LARGE:
        break;
    }
    assert(!"a finished parser advances no more");
    return FP_HTTP1_BAD;
}

/* The head is cut off at its limit before anyone looks at it, so that the limit strikes at the same byte for every way of
 * cutting the response into pieces. */
static int advance_head(fp_http1 *parser, cursor *in) {
    const size_t left = FP_HTTP1_HEADER_LIMIT - parser->header_bytes;
    if (left == 0) return too_large(parser);
    const char *start = in->at, *end = in->end;
    if ((size_t)(end - start) > left) in->end = start + left;
    const int event = advance(parser, in);
    in->end = end;
    parser->header_bytes += (uint32_t)(in->at - start);
    return event == FP_HTTP1_MORE ? GO : event; /* short only of what the limit hides, or of all: the caller sees which */
}

static int verdict(const fp_http1 *parser, int otherwise) {
    switch (parser->phase) {
    case DONE:
        return FP_HTTP1_DONE;
    case BAD:
        return FP_HTTP1_BAD;
    case TOO_LARGE:
        return FP_HTTP1_TOO_LARGE;
    default:
        return otherwise;
    }
}

int fp_http1_next(fp_http1 *parser, const char **data, size_t *len, const char **body, size_t *body_len) {
    assert(parser && data && len && body && body_len);
    cursor in = {.at = *data, .end = *data + *len};
    int event = verdict(parser, GO);
    while (event == GO && in.at < in.end) {
        event = parser->phase <= LAST_HEAD ? advance_head(parser, &in) : advance(parser, &in);
        if (event == GO) event = verdict(parser, GO);
    }
    *data = in.at;
    *len = (size_t)(in.end - in.at);
    *body = in.body;
    *body_len = in.body_len;
    return event == GO ? FP_HTTP1_MORE : event;
}

int fp_http1_eof(fp_http1 *parser) {
    assert(parser);
    if (parser->phase == BODY_TO_EOF) parser->phase = DONE;
    const int event = verdict(parser, GO);
    return event == GO ? bad(parser) : event;
}
