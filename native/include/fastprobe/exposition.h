/* exposition.h - rows of a struct of arrays as lines of the Prometheus text format.
 *
 * Knows no metric names. A line is made of
 *
 *     meshkit_probe_runs_total{  probe="pg",kind="tcp"  ,result="ok"}   17 \n
 *     head                       labels of the row      tail            cell of the column
 *
 * The labels of a row are escaped once and kept here; heads and tails are the caller's. Sharing one label text between the
 * twenty lines of a probe, rather than keeping every line's prefix, costs twice the time (3.4 against 1.6 ms for 10,000 probes)
 * and a twentieth of the memory.
 *
 * Everything is rendered into pages of bounded size, so that a scrape of any length takes one page of memory and the caller
 * decides how long it works at a stretch. Owner: one thread, the one that owns the columns. */
#ifndef FASTPROBE_EXPOSITION_H
#define FASTPROBE_EXPOSITION_H
#include "fastprobe/base.h"

typedef struct fp_text { /* not terminated */
    const char *data;
    size_t len;
} fp_text;

/* -- numbers ------------------------------------------------------------------------------------------------------- */

#define FP_U64_TEXT 20u  /* most characters fp_text_u64 writes */
#define FP_F64_TEXT 320u /* most characters fp_text_f64 writes */

/* Write digits at `to`; return the end. No terminator. */
char *fp_text_u64(char *to, uint64_t value);
/* To the nearest billionth (a nanosecond), trailing zeros cut, integers as integers; NaN, +Inf, -Inf. No locale is asked. */
char *fp_text_f64(char *to, double value);

/* -- labels -------------------------------------------------------------------------------------------------------- */

typedef struct fp_labels fp_labels;

typedef struct fp_label {
    fp_text name;  /* written as it is */
    fp_text value; /* backslash, quote and newline are escaped */
} fp_label;

int fp_labels_new(fp_labels **labels, uint32_t rows); /* -EINVAL, -ENOMEM */
void fp_labels_free(fp_labels *labels);

/* Keep the labels of a row as of this generation and group; lines are rendered only while both still stand in the columns, so a
 * reused row never wears its predecessor's name. -ENOMEM, and the row has none. */
int fp_labels_put(fp_labels *labels, uint32_t row, uint32_t generation, uint32_t group, const fp_label *pairs, uint32_t n);
void fp_labels_drop(fp_labels *labels, uint32_t row); /* calm when there are none */

/* Rows in [*from, end) in use (odd generation) whose labels are missing or old: at most n, written to out. *from moves to the
 * first row not looked at. Labels of rows no longer in use are dropped on the way, so a full pass leaves nothing behind. */
uint32_t fp_labels_stale(fp_labels *labels, const uint32_t *generation, const uint32_t *group, uint32_t *from, uint32_t end,
                         uint32_t *out, uint32_t n);

size_t fp_labels_bytes(const fp_labels *labels); /* memory held, the allocator's own share estimated */
const char *fp_labels_check(const fp_labels *labels);

/* -- lines --------------------------------------------------------------------------------------------------------- */

/* The columns that say which rows are in use and whose labels they wear. */
typedef struct fp_rows {
    const fp_labels *labels;
    const uint32_t *generation;
    const uint32_t *group;
} fp_rows;

typedef struct fp_page {
    char *data;
    size_t len;
    size_t capacity;
} fp_page;

enum fp_cell { FP_CELL_U8 = 0, FP_CELL_U32 = 1, FP_CELL_U64 = 2, FP_CELL_F64 = 3, FP_CELL_U16 = 4 };

typedef struct fp_series {
    fp_text head;
    fp_text tail;
    const void *column;
    enum fp_cell cell;     /* a NaN in an F64 column means: no line */
    const int16_t *lookup; /* U8 only: NULL, or 256 values to print instead; a negative one means: no line */
    size_t stride;         /* bytes from one row's cell to the next one's; 0 = cells lie side by side */
} fp_series;

/* One line a row and series, row by row. Stops before the row that may not fit and returns it; returns `end` when all rows are
 * done. A row that does not fit an empty page leaves it empty: give a bigger one. */
uint32_t fp_page_series(fp_page *page, const fp_rows *rows, const fp_series *series, uint32_t n_series, uint32_t from,
                        uint32_t end);

typedef struct fp_buckets {
    fp_text bucket_head;       /* "name_bucket{" */
    fp_text sum_head;          /* "name_sum{" */
    fp_text count_head;        /* "name_count{" */
    const fp_text *edge_tails; /* ",le=\"0.5\"} ", n_edges of them */
    fp_text inf_tail;          /* ",le=\"+Inf\"} " */
    fp_text tail;              /* "} " */
    const uint32_t *edges;     /* ascending bucket numbers, each the last one below its le */
    uint32_t n_edges;
    uint32_t n_buckets;  /* a row's length */
    const void *counts;  /* rows x n_buckets */
    enum fp_cell cell;   /* U32 or U64 */
    const uint8_t *used; /* rows x 2: first and last bucket touched, (255, 0) for none; NULL = look at all */
    const double *sum;
    size_t sum_stride; /* bytes from one row's sum to the next one's; 0 = side by side */
} fp_buckets;

/* Cumulative buckets, _sum and _count of each row, from one reading of its counters. Returns like fp_page_series. */
uint32_t fp_page_buckets(fp_page *page, const fp_rows *rows, const fp_buckets *buckets, uint32_t from, uint32_t end);

#endif
