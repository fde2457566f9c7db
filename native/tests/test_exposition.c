/* Numbers as text against libc, labels against their escapes, lines against hand-written ones. */
#include "fastprobe/exposition.h"

#include "check.h"

#include <errno.h>
#include <math.h>

#define TEXT(literal) ((fp_text){literal, sizeof literal - 1})
#define ROWS          8u

static bool reads(const char *from, const char *end, const char *expected) {
    size_t len = strlen(expected);
    if ((size_t)(end - from) == len && memcmp(from, expected, len) == 0) return true;
    fprintf(stderr, "got  %.*s\nwant %s\n", (int)(end - from), from, expected);
    return false;
}

/* -- numbers ------------------------------------------------------------------------------------------------------- */

static void integers_read_like_libc_prints_them(void) {
    check_rng rng = check_seed(7);
    char ours[FP_U64_TEXT], theirs[32];
    for (int i = 0; i < 200000; i++) {
        uint64_t value = check_random(&rng) >> check_below(&rng, 64);
        snprintf(theirs, sizeof theirs, "%llu", (unsigned long long)value);
        CHECK(reads(ours, fp_text_u64(ours, value), theirs));
    }
    CHECK(reads(ours, fp_text_u64(ours, 0), "0"));
    CHECK(reads(ours, fp_text_u64(ours, UINT64_MAX), "18446744073709551615"));
}

static void doubles_read_to_the_nearest_billionth(void) {
    check_rng rng = check_seed(11);
    char ours[FP_F64_TEXT + 1];
    for (int i = 0; i < 200000; i++) {
        double value = (double)(int64_t)check_random(&rng) / (double)(1ULL << check_below(&rng, 63));
        if (check_below(&rng, 4) == 0) value *= 1e-9;
        char *end = fp_text_f64(ours, value);
        *end = 0;
        CHECK(end - ours <= 32);
        CHECK(fabs(strtod(ours, NULL) - value) <= 0.500001e-9 + fabs(value) * 0x1p-53);
        CHECK(!strchr(ours, '.') || end[-1] != '0');
    }
}

static void doubles_without_a_plain_form_have_their_words(void) {
    char text[FP_F64_TEXT];
    const struct {
        double value;
        const char *text;
    } cases[] = {
        {NAN, "NaN"},
        {INFINITY, "+Inf"},
        {-INFINITY, "-Inf"},
        {0.0, "0"},
        {-0.0, "0"},
        {1.0, "1"},
        {-2.5, "-2.5"},
        {1e-9, "0.000000001"},
        {4e-10, "0"},
        {-4e-10, "0"},
        {0.9999999999, "1"},
        {41.9999999999, "42"},
        {0x1p-12, "0.000244141"},
        {9007199254740993.0, "9007199254740992"},
        {0x1p63, "9223372036854775808"},
        {-0x1p64, "-18446744073709551616"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK(reads(text, fp_text_f64(text, cases[i].value), cases[i].text));
    CHECK(fp_text_f64(text, 1.7976931348623157e308) - text == 309);
}

/* -- a table of eight rows ----------------------------------------------------------------------------------------- */

static uint32_t generation[ROWS], group[ROWS];

static fp_labels *four_labelled_rows(void) {
    fp_labels *labels = NULL;
    memset(generation, 0, sizeof generation);
    memset(group, 0, sizeof group);
    CHECK_EQ(fp_labels_new(&labels, ROWS), 0);
    for (uint32_t row = 0; row < 4; row++) {
        char name = (char)('a' + row);
        generation[row] = 1;
        CHECK_EQ(fp_labels_put(labels, row, 1, 0, &(fp_label){TEXT("probe"), {&name, 1}}, 1), 0);
    }
    return labels;
}

static void label_values_are_escaped_and_names_are_not(void) {
    fp_labels *labels = four_labelled_rows();
    const fp_label pairs[] = {{TEXT("a"), TEXT("say \"hi\"\n")}, {TEXT("b"), TEXT("C:\\x")}, {TEXT("c"), {NULL, 0}}};
    CHECK_EQ(fp_labels_put(labels, 0, 1, 0, pairs, 3), 0);
    CHECK_SOUND(fp_labels_check(labels));
    const uint8_t state[ROWS] = {3};
    char text[128];
    fp_page page = {text, 0, sizeof text};
    const fp_series series = {TEXT("m{"), TEXT("} "), state, FP_CELL_U8, NULL, 0};
    CHECK_EQ(fp_page_series(&page, &(fp_rows){labels, generation, group}, &series, 1, 0, 1), 1);
    CHECK(reads(text, text + page.len, "m{a=\"say \\\"hi\\\"\\n\",b=\"C:\\\\x\",c=\"\"} 3\n"));
    fp_labels_free(labels);
}

static void a_reused_row_never_wears_the_old_name(void) {
    fp_labels *labels = four_labelled_rows();
    const uint32_t runs[ROWS] = {1, 2, 3, 4};
    char text[256];
    const fp_rows rows = {labels, generation, group};
    const fp_series series = {TEXT("m{"), TEXT("} "), runs, FP_CELL_U32, NULL, 0};
    generation[0] = 3; /* removed and taken by another probe */
    generation[1] = 2; /* removed */
    group[2] = 9;      /* moved to other tags */

    fp_page page = {text, 0, sizeof text};
    CHECK_EQ(fp_page_series(&page, &rows, &series, 1, 0, ROWS), ROWS);
    CHECK(reads(text, text + page.len, "m{probe=\"d\"} 4\n"));

    uint32_t stale[ROWS], from = 0;
    size_t before = fp_labels_bytes(labels);
    CHECK_EQ(fp_labels_stale(labels, generation, group, &from, ROWS, stale, ROWS), 2);
    CHECK_EQ(stale[0], 0);
    CHECK_EQ(stale[1], 2);
    CHECK_EQ(from, ROWS);
    CHECK(fp_labels_bytes(labels) < before); /* row 1 is gone for good */
    CHECK_SOUND(fp_labels_check(labels));
    fp_labels_free(labels);
}

static void stale_rows_come_in_batches_that_meet(void) {
    fp_labels *labels = NULL;
    CHECK_EQ(fp_labels_new(&labels, ROWS), 0);
    for (uint32_t row = 0; row < ROWS; row++) generation[row] = row % 3 == 0 ? 2 : 1; /* 0, 3 and 6 are free */
    uint32_t out[2], from = 0, n, seen = 0;
    while ((n = fp_labels_stale(labels, generation, group, &from, ROWS, out, 2)) > 0)
        for (uint32_t i = 0; i < n; i++) seen |= 1u << out[i];
    CHECK_EQ(seen, 0xb6);
    fp_labels_free(labels);
}

static void no_labels_are_made_for_no_rows(void) {
    fp_labels *labels = NULL;
    CHECK_EQ(fp_labels_new(&labels, 0), -EINVAL);
}

/* -- lines --------------------------------------------------------------------------------------------------------- */

static void lines_of_a_row_stay_together(void) {
    fp_labels *labels = four_labelled_rows();
    const uint32_t ok[ROWS] = {1, 2, 3, 4};
    const uint64_t fail[ROWS] = {5, 6, 7, 1ULL << 40};
    const fp_series series[] = {{TEXT("m{"), TEXT(",result=\"ok\"} "), ok, FP_CELL_U32, NULL, 0},
                                {TEXT("m{"), TEXT(",result=\"fail\"} "), fail, FP_CELL_U64, NULL, 0}};
    char text[1024];
    fp_page page = {text, 0, sizeof text};
    CHECK_EQ(fp_page_series(&page, &(fp_rows){labels, generation, group}, series, 2, 2, 4), 4);
    CHECK(reads(text, text + page.len,
                "m{probe=\"c\",result=\"ok\"} 3\nm{probe=\"c\",result=\"fail\"} 7\n"
                "m{probe=\"d\",result=\"ok\"} 4\nm{probe=\"d\",result=\"fail\"} 1099511627776\n"));
    fp_labels_free(labels);
}

static void what_is_not_known_has_no_line(void) {
    fp_labels *labels = four_labelled_rows();
    int16_t lookup[256];
    for (int i = 0; i < 256; i++) lookup[i] = -1;
    lookup[0] = 1;
    lookup[2] = 0;
    const uint8_t last_result[ROWS] = {255, 0, 2, 255};
    const double ratio[ROWS] = {NAN, 0.5, NAN, 1.0};
    const fp_series series[] = {{TEXT("s{"), TEXT("} "), last_result, FP_CELL_U8, lookup, 0},
                                {TEXT("r{"), TEXT("} "), ratio, FP_CELL_F64, NULL, 0}};
    char text[2048];
    fp_page page = {text, 0, sizeof text};
    CHECK_EQ(fp_page_series(&page, &(fp_rows){labels, generation, group}, series, 2, 0, ROWS), ROWS);
    CHECK(reads(text, text + page.len, "s{probe=\"b\"} 1\nr{probe=\"b\"} 0.5\ns{probe=\"c\"} 0\nr{probe=\"d\"} 1\n"));
    fp_labels_free(labels);
}

static fp_buckets four_buckets(const void *counts, enum fp_cell cell, const uint8_t *used, const double *sum) {
    static const fp_text tails[] = {{",le=\"0.5\"} ", 11}, {",le=\"1.0\"} ", 11}};
    static const uint32_t edges[] = {0, 2};
    return (fp_buckets){TEXT("h_bucket{"),
                        TEXT("h_sum{"),
                        TEXT("h_count{"),
                        tails,
                        TEXT(",le=\"+Inf\"} "),
                        TEXT("} "),
                        edges,
                        2,
                        4,
                        counts,
                        cell,
                        used,
                        sum,
                        0};
}

static const char *FIRST_ROW = "h_bucket{probe=\"a\",le=\"0.5\"} 1\nh_bucket{probe=\"a\",le=\"1.0\"} 6\n"
                               "h_bucket{probe=\"a\",le=\"+Inf\"} 10\nh_sum{probe=\"a\"} 2.25\nh_count{probe=\"a\"} 10\n";

static void buckets_are_cumulative_and_end_in_the_count(void) {
    fp_labels *labels = four_labelled_rows();
    const uint32_t narrow[ROWS][4] = {{1, 2, 3, 4}};
    const uint64_t wide[ROWS][4] = {{1, 2, 3, 4}};
    const uint8_t used[ROWS * 2] = {0, 3};
    const double sum[ROWS] = {2.25};
    char text[1024];
    const fp_rows rows = {labels, generation, group};
    const fp_buckets shapes[] = {four_buckets(narrow, FP_CELL_U32, NULL, sum), four_buckets(narrow, FP_CELL_U32, used, sum),
                                 four_buckets(wide, FP_CELL_U64, NULL, sum)};
    for (size_t i = 0; i < 3; i++) {
        fp_page page = {text, 0, sizeof text};
        CHECK_EQ(fp_page_buckets(&page, &rows, &shapes[i], 0, 1), 1);
        CHECK(reads(text, text + page.len, FIRST_ROW));
    }
    fp_labels_free(labels);
}

static void an_untouched_histogram_is_all_zeros(void) {
    fp_labels *labels = four_labelled_rows();
    const uint32_t counts[ROWS][4] = {{0}};
    const uint8_t used[ROWS * 2] = {255, 0};
    const double sum[ROWS] = {0};
    char text[1024];
    fp_page page = {text, 0, sizeof text};
    const fp_buckets buckets = four_buckets(counts, FP_CELL_U32, used, sum);
    CHECK_EQ(fp_page_buckets(&page, &(fp_rows){labels, generation, group}, &buckets, 0, 1), 1);
    CHECK(reads(text, text + page.len,
                "h_bucket{probe=\"a\",le=\"0.5\"} 0\nh_bucket{probe=\"a\",le=\"1.0\"} 0\nh_bucket{probe=\"a\",le=\"+Inf\"} 0\n"
                "h_sum{probe=\"a\"} 0\nh_count{probe=\"a\"} 0\n"));
    fp_labels_free(labels);
}

static void cells_inside_wider_rows_are_found_by_their_stride(void) {
    fp_labels *labels = four_labelled_rows();
    const struct wide {
        double sum;
        uint32_t runs;
        uint8_t state;
    } wide[ROWS] = {{.5, 10, 1}, {1.5, 20, 2}, {2.5, 30, 3}, {3.5, 40, 4}};
    const uint32_t counts[ROWS][4] = {{0}};
    const fp_rows rows = {labels, generation, group};
    const fp_series series[] = {{TEXT("r{"), TEXT("} "), &wide[0].runs, FP_CELL_U32, NULL, sizeof *wide},
                                {TEXT("s{"), TEXT("} "), &wide[0].state, FP_CELL_U8, NULL, sizeof *wide}};
    fp_buckets buckets = four_buckets(counts, FP_CELL_U32, NULL, &wide[0].sum);
    buckets.sum_stride = sizeof *wide;
    char text[2048];
    fp_page page = {text, 0, sizeof text};
    CHECK_EQ(fp_page_series(&page, &rows, series, 2, 2, 4), 4);
    CHECK(reads(text, text + page.len, "r{probe=\"c\"} 30\ns{probe=\"c\"} 3\nr{probe=\"d\"} 40\ns{probe=\"d\"} 4\n"));
    page.len = 0;
    CHECK_EQ(fp_page_buckets(&page, &rows, &buckets, 3, 4), 4);
    text[page.len] = 0;
    CHECK(strstr(text, "h_sum{probe=\"d\"} 3.5\n"));
    fp_labels_free(labels);
}

/* Whatever the page sizes, the pages joined are the text a large page holds. ASan watches the ends. */
static void pages_of_any_size_join_to_the_same_text(void) {
    check_rng rng = check_seed(23);
    fp_labels *labels = four_labelled_rows();
    uint32_t counts[ROWS][4];
    double sum[ROWS];
    for (uint32_t row = 0; row < ROWS; row++) {
        for (int b = 0; b < 4; b++) counts[row][b] = (uint32_t)check_random(&rng);
        sum[row] = (double)check_random(&rng);
    }
    const fp_rows rows = {labels, generation, group};
    const fp_buckets buckets = four_buckets(counts, FP_CELL_U32, NULL, sum);
    const fp_series series = {TEXT("m{"), TEXT("} "), counts, FP_CELL_U32, NULL, 0};
    char whole[8192];
    fp_page large = {whole, 0, sizeof whole};
    CHECK_EQ(fp_page_buckets(&large, &rows, &buckets, 0, ROWS), ROWS);
    CHECK_EQ(fp_page_series(&large, &rows, &series, 1, 0, ROWS), ROWS);

    for (int round = 0; round < 300; round++) {
        char joined[8192];
        size_t len = 0;
        for (int part = 0; part < 2; part++) {
            for (uint32_t row = 0; row < ROWS;) {
                size_t capacity = 1 + check_below(&rng, 1500);
                char *data = malloc(capacity); /* its own block, so that one byte too many is seen */
                CHECK(data);
                fp_page page = {data, 0, capacity};
                row = part ? fp_page_series(&page, &rows, &series, 1, row, ROWS)
                           : fp_page_buckets(&page, &rows, &buckets, row, ROWS);
                memcpy(joined + len, data, page.len);
                len += page.len;
                free(data);
            }
        }
        CHECK_EQ(len, large.len);
        CHECK(memcmp(joined, whole, len) == 0);
    }
    fp_labels_free(labels);
}

int main(void) {
    RUN(integers_read_like_libc_prints_them);
    RUN(doubles_read_to_the_nearest_billionth);
    RUN(doubles_without_a_plain_form_have_their_words);
    RUN(label_values_are_escaped_and_names_are_not);
    RUN(a_reused_row_never_wears_the_old_name);
    RUN(stale_rows_come_in_batches_that_meet);
    RUN(no_labels_are_made_for_no_rows);
    RUN(lines_of_a_row_stay_together);
    RUN(what_is_not_known_has_no_line);
    RUN(buckets_are_cumulative_and_end_in_the_count);
    RUN(an_untouched_histogram_is_all_zeros);
    RUN(cells_inside_wider_rows_are_found_by_their_stride);
    RUN(pages_of_any_size_join_to_the_same_text);
    return 0;
}
