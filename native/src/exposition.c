#include "fastprobe/exposition.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALLOCATOR_SHARE 16u /* what malloc adds to each block, about */

/* -- numbers ------------------------------------------------------------------------------------------------------------------
 */

static const char PAIRS[201] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748"
    "49505152535455565758596061626364656667686970717273747576777879808182838485868788899091929394959697"
    "9899";

char *fp_text_u64(char *to, uint64_t value) {
    char digits[FP_U64_TEXT];
    char *first = digits + sizeof digits;
    while (value >= 100) {
        first -= 2;
        memcpy(first, &PAIRS[2 * (value % 100)], 2);
        value /= 100;
    }
    if (value >= 10) {
        first -= 2;
        memcpy(first, &PAIRS[2 * value], 2);
    } else {
        *--first = (char)('0' + value);
    }
    size_t len = (size_t)(digits + sizeof digits - first);
    memcpy(to, first, len);
    return to + len;
}

static char *put(char *to, const char *text, size_t len) {
    memcpy(to, text, len);
    return to + len;
}

static char *put_billionths(char *to, uint32_t billionths) {
    char digits[9];
    int last = -1;
    for (int i = 8; i >= 0; i--) {
        digits[i] = (char)('0' + billionths % 10);
        billionths /= 10;
        if (last < 0 && digits[i] != '0') last = i;
    }
    *to++ = '.';
    return put(to, digits, (size_t)last + 1);
}

char *fp_text_f64(char *to, double value) {
    if (isnan(value)) return put(to, "NaN", 3);
    if (isinf(value)) return put(to, value > 0 ? "+Inf" : "-Inf", 4);
    if (fabs(value) >= 0x1p63)
        return to + snprintf(to, FP_F64_TEXT, "%.0f", value); /* whole; and %.0f has no radix character */

    double magnitude = fabs(value);
    uint64_t whole = (uint64_t)magnitude;
    /* The subtraction is exact, so the fraction keeps all the precision the value had. */
    uint32_t billionths = (uint32_t)((magnitude - (double)whole) * 1e9 + 0.5);
    if (billionths >= 1000000000u) {
        billionths = 0;
        whole++;
    }
    if (value < 0 && (whole || billionths)) *to++ = '-';
    to = fp_text_u64(to, whole);
    return billionths ? put_billionths(to, billionths) : to;
}

/* -- labels -------------------------------------------------------------------------------------------------------------------
 */

typedef struct row_labels {
    uint32_t generation;
    uint32_t group;
    size_t len;
    char text[];
} row_labels;

struct fp_labels {
    uint32_t rows;
    uint32_t high_water; /* no row at or above this was ever put */
    size_t bytes;        /* of all texts */
    row_labels **of_row;
};

int fp_labels_new(fp_labels **labels, uint32_t rows) {
    assert(labels);
    if (rows == 0) return -EINVAL;
    fp_labels *made = calloc(1, sizeof *made);
    if (!made) return -ENOMEM;
    made->rows = rows;
    made->of_row = (row_labels **)fp_reserve(rows * sizeof(row_labels *));
    if (!made->of_row) {
        free(made);
        return -ENOMEM;
    }
    *labels = made;
    return 0;
}

void fp_labels_free(fp_labels *labels) {
    if (!labels) return;
    for (uint32_t row = 0; row < labels->high_water; row++) free(labels->of_row[row]);
    fp_release((void *)labels->of_row, labels->rows * sizeof(row_labels *));
    free(labels);
}

static size_t held_by(const row_labels *kept) {
    return sizeof *kept + kept->len + ALLOCATOR_SHARE;
}

void fp_labels_drop(fp_labels *labels, uint32_t row) {
    assert(labels && row < labels->rows);
    row_labels *kept = labels->of_row[row];
    if (!kept) return;
    labels->bytes -= held_by(kept);
    labels->of_row[row] = NULL;
    free(kept);
}

static size_t escaped_len(fp_text value) {
    size_t len = value.len;
    for (size_t i = 0; i < value.len; i++) len += value.data[i] == '\\' || value.data[i] == '"' || value.data[i] == '\n';
    return len;
}

static char *put_escaped(char *to, fp_text value) {
    for (size_t i = 0; i < value.len; i++) {
        char c = value.data[i];
        if (c == '\\' || c == '"' || c == '\n') {
            *to++ = '\\';
            if (c == '\n') c = 'n';
        }
        *to++ = c;
    }
    return to;
}

static size_t pairs_len(const fp_label *pairs, uint32_t n) {
    size_t len = n ? n - 1 : 0; /* commas */
    for (uint32_t i = 0; i < n; i++) len += pairs[i].name.len + 3 + escaped_len(pairs[i].value);
    return len;
}

static void put_pairs(char *to, const fp_label *pairs, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        if (i) *to++ = ',';
        to = put(to, pairs[i].name.data, pairs[i].name.len);
        to = put(to, "=\"", 2);
        to = put_escaped(to, pairs[i].value);
        *to++ = '"';
    }
}

int fp_labels_put(fp_labels *labels, uint32_t row, uint32_t generation, uint32_t group, const fp_label *pairs, uint32_t n) {
    assert(labels && row < labels->rows && (pairs || n == 0));
    fp_labels_drop(labels, row);
    size_t len = pairs_len(pairs, n);
    row_labels *kept = malloc(sizeof *kept + len);
    if (!kept) return -ENOMEM;
    kept->generation = generation;
    kept->group = group;
    kept->len = len;
    put_pairs(kept->text, pairs, n);
    labels->of_row[row] = kept;
    labels->bytes += held_by(kept);
    if (row >= labels->high_water) labels->high_water = row + 1;
    return 0;
}

/* The labels a row wears now, or NULL: not in use, or not known as of this generation and group. */
static const row_labels *worn(const fp_rows *rows, uint32_t row) {
    const row_labels *kept = rows->labels->of_row[row];
    if (!kept || !(rows->generation[row] & 1)) return NULL;
    return kept->generation == rows->generation[row] && kept->group == rows->group[row] ? kept : NULL;
}

uint32_t fp_labels_stale(fp_labels *labels, const uint32_t *generation, const uint32_t *group, uint32_t *from, uint32_t end,
                         uint32_t *out, uint32_t n) {
    assert(labels && end <= labels->rows);
    const fp_rows rows = {labels, generation, group};
    uint32_t found = 0;
    uint32_t row = *from;
    for (; row < end && found < n; row++) {
        if (!(generation[row] & 1))
            fp_labels_drop(labels, row);
        else if (!worn(&rows, row))
            out[found++] = row;
    }
    *from = row;
    return found;
}

size_t fp_labels_bytes(const fp_labels *labels) {
    return sizeof *labels + labels->high_water * sizeof(row_labels *) + labels->bytes;
}

const char *fp_labels_check(const fp_labels *labels) {
    size_t bytes = 0;
    if (labels->high_water > labels->rows) return "high water is within the rows";
    for (uint32_t row = 0; row < labels->high_water; row++)
        if (labels->of_row[row]) bytes += held_by(labels->of_row[row]);
    return bytes == labels->bytes ? NULL : "bytes are the sum over the rows";
}

/* -- lines --------------------------------------------------------------------------------------------------------------------
 */

static const size_t CELL_BYTES[] = {
    [FP_CELL_U8] = 1, [FP_CELL_U32] = 4, [FP_CELL_U64] = 8, [FP_CELL_F64] = 8, [FP_CELL_U16] = 2};

static const void *cell_at(const void *column, size_t stride, enum fp_cell cell, size_t row) {
    return (const char *)column + row * (stride ? stride : CELL_BYTES[cell]);
}

/* -1: no line. Otherwise the number stands at *to, which has moved. */
static int put_cell(char **to, const fp_series *series, uint32_t row) {
    const void *at = cell_at(series->column, series->stride, series->cell, row);
    switch (series->cell) {
    case FP_CELL_U8: {
        uint8_t cell = *(const uint8_t *)at;
        int value = series->lookup ? series->lookup[cell] : cell;
        if (value < 0) return -1;
        *to = fp_text_u64(*to, (uint64_t)value);
        return 0;
    }
    case FP_CELL_U16:
        *to = fp_text_u64(*to, *(const uint16_t *)at);
        return 0;
    case FP_CELL_U32:
        *to = fp_text_u64(*to, *(const uint32_t *)at);
        return 0;
    case FP_CELL_U64:
        *to = fp_text_u64(*to, *(const uint64_t *)at);
        return 0;
    case FP_CELL_F64: {
        double value = *(const double *)at;
        if (isnan(value)) return -1;
        *to = fp_text_f64(*to, value);
        return 0;
    }
    }
    return -1;
}

static char *put_prefix(char *to, fp_text head, const row_labels *labels, fp_text tail) {
    to = put(to, head.data, head.len);
    to = put(to, labels->text, labels->len);
    return put(to, tail.data, tail.len);
}

uint32_t fp_page_series(fp_page *page, const fp_rows *rows, const fp_series *series, uint32_t n_series, uint32_t from,
                        uint32_t end) {
    assert(page && rows && series && end <= rows->labels->rows);
    size_t fixed = 0;
    for (uint32_t i = 0; i < n_series; i++)
        fixed += series[i].head.len + series[i].tail.len + (series[i].cell == FP_CELL_F64 ? FP_F64_TEXT : FP_U64_TEXT) + 1;

    char *to = page->data + page->len;
    uint32_t row = from;
    for (; row < end; row++) {
        const row_labels *labels = worn(rows, row);
        if (!labels) continue;
        if ((size_t)(page->data + page->capacity - to) < fixed + n_series * labels->len) break;
        for (uint32_t i = 0; i < n_series; i++) {
            char *line = put_prefix(to, series[i].head, labels, series[i].tail);
            if (put_cell(&line, &series[i], row)) continue;
            *line++ = '\n';
            to = line;
        }
    }
    page->len = (size_t)(to - page->data);
    return row;
}

/* Counters [from, end) of a row; plain loops, which compilers turn into wide additions. */
static uint64_t sum_of(const fp_buckets *buckets, size_t first, uint32_t from, uint32_t end) {
    uint64_t sum = 0;
    if (buckets->cell == FP_CELL_U16) {
        const uint16_t *counts = (const uint16_t *)buckets->counts + first;
        for (uint32_t bucket = from; bucket < end; bucket++) sum += counts[bucket];
    } else if (buckets->cell == FP_CELL_U32) {
        const uint32_t *counts = (const uint32_t *)buckets->counts + first;
        for (uint32_t bucket = from; bucket < end; bucket++) sum += counts[bucket];
    } else {
        const uint64_t *counts = (const uint64_t *)buckets->counts + first;
        for (uint32_t bucket = from; bucket < end; bucket++) sum += counts[bucket];
    }
    return sum;
}

/* below[e] = counters in buckets up to edges[e]; returns the sum of all. */
static uint64_t accumulate(const fp_buckets *buckets, uint32_t row, uint64_t *below) {
    size_t first = (size_t)row * buckets->n_buckets;
    uint32_t bucket = buckets->used ? buckets->used[2 * (size_t)row] : 0;
    uint32_t end = buckets->used ? buckets->used[2 * (size_t)row + 1] + 1u : buckets->n_buckets;
    uint64_t sum = 0;
    for (uint32_t e = 0; e < buckets->n_edges; e++) {
        uint32_t stop = buckets->edges[e] < end ? buckets->edges[e] + 1 : end;
        if (bucket < stop) {
            sum += sum_of(buckets, first, bucket, stop);
            bucket = stop;
        }
        below[e] = sum;
    }
    return bucket < end ? sum + sum_of(buckets, first, bucket, end) : sum;
}

#define MOST_EDGES 64u

uint32_t fp_page_buckets(fp_page *page, const fp_rows *rows, const fp_buckets *buckets, uint32_t from, uint32_t end) {
    assert(page && rows && buckets && end <= rows->labels->rows);
    assert(buckets->n_edges <= MOST_EDGES && buckets->cell != FP_CELL_U8 && buckets->cell != FP_CELL_F64);
    size_t lines = buckets->n_edges + 3u;
    size_t fixed = (buckets->n_edges + 1) * buckets->bucket_head.len + buckets->inf_tail.len + buckets->sum_head.len +
                   buckets->count_head.len + 2 * buckets->tail.len + FP_F64_TEXT + lines * (FP_U64_TEXT + 1);
    for (uint32_t e = 0; e < buckets->n_edges; e++) fixed += buckets->edge_tails[e].len;

    uint64_t below[MOST_EDGES];
    char *to = page->data + page->len;
    uint32_t row = from;
    for (; row < end; row++) {
        const row_labels *labels = worn(rows, row);
        if (!labels) continue;
        if ((size_t)(page->data + page->capacity - to) < fixed + lines * labels->len) break;
        uint64_t count = accumulate(buckets, row, below);
        for (uint32_t e = 0; e < buckets->n_edges; e++) {
            to = fp_text_u64(put_prefix(to, buckets->bucket_head, labels, buckets->edge_tails[e]), below[e]);
            *to++ = '\n';
        }
        to = fp_text_u64(put_prefix(to, buckets->bucket_head, labels, buckets->inf_tail), count);
        *to++ = '\n';
        to = fp_text_f64(put_prefix(to, buckets->sum_head, labels, buckets->tail),
                         *(const double *)cell_at(buckets->sum, buckets->sum_stride, FP_CELL_F64, row));
        *to++ = '\n';
        to = fp_text_u64(put_prefix(to, buckets->count_head, labels, buckets->tail), count);
        *to++ = '\n';
    }
    page->len = (size_t)(to - page->data);
    return row;
}
