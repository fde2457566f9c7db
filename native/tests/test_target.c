#include "check.h"
#include "fastprobe/http1.h"
#include "target_internal.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/un.h>

static const struct sockaddr_in v4 = {.sin_family = AF_INET};
static const struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

static const struct sockaddr *generic(const void *address) {
    return address;
}

static fp_http_plan_spec get(const char *path) {
    return (fp_http_plan_spec){.method = "GET", .path = path, .max_body = 1000};
}

static fp_http_plan *new_plan(const fp_http_plan_spec *spec) {
    fp_http_plan *plan;
    CHECK(fp_http_plan_problem(spec) == NULL);
    CHECK_EQ(fp_http_plan_new(&plan, spec), 0);
    return plan;
}

/* A target of the plan; the plan's own reference is dropped, so freeing the target frees both. */
static fp_target *new_target(fp_http_plan *plan, const char *host) {
    fp_target *target;
    CHECK_EQ(fp_target_http(&target, generic(&v4), sizeof v4, plan, host), 0);
    fp_http_plan_release(plan);
    return target;
}

static void check_request(const fp_http_plan_spec *spec, const char *host, const char *expected) {
    char out[FP_HTTP_REQUEST_MAX];
    fp_target *target = new_target(new_plan(spec), host);
    const size_t len = fp_target_request(target, out, sizeof out);
    if (len != strlen(expected) || memcmp(out, expected, len) != 0) {
        fprintf(stderr, "expected:\n%sbut was:\n%.*s", expected, (int)len, out);
        abort();
    }
    fp_target_free(target);
}

static void a_request_is_what_a_person_would_type(void) {
    const fp_http_plan_spec spec = get("/healthz?deep=1");
    check_request(&spec, "10.0.0.7:8080",
                  "GET /healthz?deep=1 HTTP/1.1\r\nHost: 10.0.0.7:8080\r\nUser-Agent: " FP_HTTP_USER_AGENT
                  "\r\nAccept: */*\r\nConnection: close\r\n\r\n");
}

static void keep_alive_says_nothing_and_head_asks_for_no_body(void) {
    fp_http_plan_spec spec = get("/");
    spec.method = "HEAD";
    spec.keep_alive = true;
    check_request(&spec, "x", "HEAD / HTTP/1.1\r\nHost: x\r\nUser-Agent: " FP_HTTP_USER_AGENT "\r\nAccept: */*\r\n\r\n");
}

static void given_headers_follow_ours_and_take_their_place(void) {
    const fp_http_header more[] = {{"X-One", "1"}, {"X-Two", ""}};
    const fp_http_header ours[] = {
        {"hOst", "example.org"}, {"ACCEPT", "text/plain"}, {"user-agent", "me"}, {"Connection", "x"}};
    fp_http_plan_spec spec = get("/");
    spec.headers = more;
    spec.n_headers = 2;
    check_request(&spec, "x",
                  "GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: " FP_HTTP_USER_AGENT
                  "\r\nAccept: */*\r\nConnection: close\r\nX-One: 1\r\nX-Two: \r\n\r\n");
    spec.headers = ours;
    spec.n_headers = 4;
    check_request(&spec, "x",
                  "GET / HTTP/1.1\r\nHost: example.org\r\nACCEPT: text/plain\r\nuser-agent: me\r\nConnection: x\r\n\r\n");
}

static void a_request_that_does_not_fit_is_not_written(void) {
    char out[4] = "abc";
    const fp_http_plan_spec spec = get("/");
    fp_target *target = new_target(new_plan(&spec), "x");
    CHECK(fp_target_request(target, out, 3) > 3);
    CHECK(strcmp(out, "abc") == 0);
    fp_target_free(target);
}

static void what_a_request_must_not_hold_is_refused_in_words(void) {
    static char long_value[20000], long_name[FP_HTTP1_NAME + 1], long_expected[FP_HTTP1_VALUE + 2];
    memset(long_value, 'v', sizeof long_value - 1);
    memset(long_name, 'n', sizeof long_name - 1);
    memset(long_expected, 'v', sizeof long_expected - 1);
    const struct {
        fp_http_plan_spec spec;
        fp_http_header sent, expected;
        uint16_t status;
        const char *word; /* of the problem */
    } cases[] = {
        {{.method = "POST", .path = "/"}, {0}, {0}, 0, "method"},
        {{.method = "GET", .path = ""}, {0}, {0}, 0, "path"},
        {{.method = "GET", .path = "healthz"}, {0}, {0}, 0, "path"},
        {{.method = "GET", .path = "/a b"}, {0}, {0}, 0, "path"},
        {{.method = "GET", .path = "/a\r\nX: y"}, {0}, {0}, 0, "path"},
        {{.method = "GET", .path = "/\xc3\xa9"}, {0}, {0}, 0, "path"},
        {{.method = "GET", .path = "/#x"}, {0}, {0}, 0, "path"},
        {{.method = "GET", .path = "/"}, {"", "x"}, {0}, 0, "token"},
        {{.method = "GET", .path = "/"}, {"A B", "x"}, {0}, 0, "token"},
        {{.method = "GET", .path = "/"}, {"A:", "x"}, {0}, 0, "token"},
        {{.method = "GET", .path = "/"}, {"A", "x\r\nB: y"}, {0}, 0, "control"},
        {{.method = "GET", .path = "/"}, {"A", "x\x7f"}, {0}, 0, "control"},
        {{.method = "GET", .path = "/"}, {"A", long_value}, {0}, 0, "15 KiB"},
        {{.method = "GET", .path = "/"}, {"Content-length", "5"}, {0}, 0, "body"},
        {{.method = "GET", .path = "/"}, {"Transfer-Encoding", "chunked"}, {0}, 0, "body"},
        {{.method = "GET", .path = "/"}, {0}, {"Server", ""}, 0, "lower case"},
        {{.method = "GET", .path = "/"}, {0}, {"se rver", ""}, 0, "token"},
        {{.method = "GET", .path = "/"}, {0}, {"server", "\n"}, 0, "control"},
        {{.method = "GET", .path = "/"}, {0}, {long_name, ""}, 0, "63 bytes"},
        {{.method = "GET", .path = "/"}, {0}, {"server", long_expected}, 0, "256 bytes"},
        {{.method = "GET", .path = "/"}, {0}, {0}, 99, "status"},
        {{.method = "GET", .path = "/"}, {0}, {0}, 1000, "status"},
        {{.method = "GET", .path = "/", .body_contains = ""}, {0}, {0}, 0, "1..1024"},
        {{.method = "GET", .path = "/", .body_contains = long_value, .body_contains_len = 1025}, {0}, {0}, 0, "1..1024"},
        {{.method = "GET", .path = "/", .n_expect_headers = 17}, {0}, {0}, 0, "16"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fp_http_plan_spec spec = cases[i].spec;
        fp_http_plan *plan;
        if (cases[i].sent.name) spec.headers = &cases[i].sent, spec.n_headers = 1;
        if (cases[i].expected.name) spec.expect_headers = &cases[i].expected, spec.n_expect_headers = 1;
        if (cases[i].status) spec.status = &cases[i].status, spec.n_status = 1;
        const char *problem = fp_http_plan_problem(&spec);
        CHECK(problem != NULL);
        if (!strstr(problem, cases[i].word)) fprintf(stderr, "case %zu: %s\n", i, problem);
        CHECK(strstr(problem, cases[i].word) != NULL);
        CHECK_EQ(fp_http_plan_new(&plan, &spec), -EINVAL);
    }
}

static void two_host_headers_are_refused(void) {
    const fp_http_header hosts[] = {{"host", "a"}, {"Host", "b"}};
    fp_http_plan_spec spec = get("/");
    spec.headers = hosts;
    spec.n_headers = 2;
    CHECK(strstr(fp_http_plan_problem(&spec), "two Host") != NULL);
}

static void statuses_are_as_given_or_any_2xx(void) {
    static const uint16_t given[] = {100, 204, 301, 999};
    fp_http_plan_spec spec = get("/");
    fp_http_plan *plan = new_plan(&spec);
    for (unsigned status = 0; status < 2000; status++) CHECK_EQ(fp_http_plan_accepts(plan, status), status / 100 == 2);
    fp_http_plan_release(plan);
    spec.status = given;
    spec.n_status = 4;
    plan = new_plan(&spec);
    for (unsigned status = 0; status < 2000; status++)
        CHECK_EQ(fp_http_plan_accepts(plan, status), status == 100 || status == 204 || status == 301 || status == 999);
    fp_http_plan_release(plan);
}

static uint32_t match(const fp_http_plan *plan, const char *name, const char *value) {
    return fp_http_plan_match(plan, name, strlen(name), value, strlen(value));
}

static void expected_headers_are_fulfilled_one_bit_each(void) {
    const fp_http_header expected[] = {{"server", ""}, {"content-type", "json"}, {"server", "nginx"}};
    fp_http_plan_spec spec = get("/");
    spec.expect_headers = expected;
    spec.n_expect_headers = 3;
    fp_http_plan *plan = new_plan(&spec);
    CHECK_EQ(fp_http_plan_wanted(plan), 7);
    CHECK_EQ(match(plan, "server", ""), 1);
    CHECK_EQ(match(plan, "server", "nginx/1.2"), 5);
    CHECK_EQ(match(plan, "serve", "nginx"), 0);
    CHECK_EQ(match(plan, "server2", "nginx"), 0);
    CHECK_EQ(match(plan, "content-type", "application/json; charset=utf-8"), 2);
    CHECK_EQ(match(plan, "content-type", "application/JSON"), 0);
    fp_http_plan_release(plan);
}

static void a_plan_keeps_copies_of_everything(void) {
    char path[] = "/path", name[] = "x-name", value[] = "value", needle[] = "needle";
    uint16_t status = 201;
    const fp_http_header header = {name, value};
    const fp_http_plan_spec spec = {.method = "GET",
                                    .path = path,
                                    .headers = &header,
                                    .n_headers = 1,
                                    .status = &status,
                                    .n_status = 1,
                                    .expect_headers = &header,
                                    .n_expect_headers = 1,
                                    .body_contains = needle,
                                    .body_contains_len = 6,
                                    .max_body = 7,
                                    .keep_alive = true};
    fp_http_plan *plan = new_plan(&spec);
    memset(path, '?', 5), memset(name, '?', 6), memset(value, '?', 5), memset(needle, '?', 6), status = 500;
    CHECK_EQ(plan->max_body, 7);
    CHECK(plan->keep_alive && !plan->head);
    CHECK(fp_http_plan_accepts(plan, 201) && !fp_http_plan_accepts(plan, 500));
    CHECK_EQ(match(plan, "x-name", "a value"), 1);
    CHECK_EQ(fp_needle_scan(&plan->needle, 0, "a needle", 8), 6);
    fp_target *target = new_target(plan, "h");
    char out[FP_HTTP_REQUEST_MAX];
    const size_t len = fp_target_request(target, out, sizeof out);
    CHECK(memmem(out, len, "GET /path HTTP/1.1\r\n", 20) == out);
    CHECK(memmem(out, len, "x-name: value\r\n", 15) != NULL);
    fp_target_free(target);
}

static void a_plan_lives_as_long_as_its_last_target(void) {
    const fp_http_plan_spec spec = get("/");
    fp_http_plan *plan = new_plan(&spec);
    fp_target *first, *second;
    CHECK_EQ(fp_target_http(&first, generic(&v4), sizeof v4, plan, "a"), 0);
    CHECK_EQ(fp_target_http(&second, generic(&v6), sizeof v6, plan, "b"), 0);
    CHECK_EQ(plan->references, 3);
    fp_http_plan_release(plan);
    fp_target_free(first);
    CHECK_EQ(plan->references, 1);
    fp_target_free(second); /* the sanitizer would tell of a leak, or of a plan freed too early */
}

static void *take_and_release(void *arg) {
    for (int i = 0; i < 2000; i++) {
        fp_target *target;
        CHECK_EQ(fp_target_http(&target, generic(&v4), sizeof v4, arg, "host"), 0);
        fp_target_free(target);
    }
    return NULL;
}

static void references_are_counted_across_threads(void) {
    pthread_t threads[3];
    const fp_http_plan_spec spec = get("/");
    fp_http_plan *plan = new_plan(&spec);
    for (int i = 0; i < 3; i++) CHECK_EQ(pthread_create(&threads[i], NULL, take_and_release, plan), 0);
    for (int i = 0; i < 3; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(plan->references, 1);
    fp_http_plan_release(plan);
}

static void an_address_is_kept_as_connect_wants_it(void) {
    struct sockaddr_un path = {.sun_family = AF_UNIX, .sun_path = "\0abstract"};
    const socklen_t path_len = offsetof(struct sockaddr_un, sun_path) + 9;
    const struct {
        const struct sockaddr *address;
        socklen_t len;
    } cases[] = {{generic(&v4), sizeof v4}, {generic(&v6), sizeof v6}, {generic(&path), path_len}};
    for (size_t i = 0; i < 3; i++) {
        fp_target *target;
        CHECK_EQ(fp_target_tcp(&target, cases[i].address, cases[i].len), 0);
        CHECK_EQ(target->kind, FP_TARGET_TCP);
        CHECK_EQ(target->family, cases[i].address->sa_family);
        CHECK_EQ(target->address_len, cases[i].len);
        CHECK(memcmp(fp_target_address(target), cases[i].address, cases[i].len) == 0);
        CHECK_EQ(fp_target_request(target, NULL, 0), 0);
        fp_target_free(target);
    }
}

static void an_address_of_another_size_or_family_is_refused(void) {
    const struct sockaddr unspecified = {.sa_family = AF_UNSPEC};
    fp_target *target;
    CHECK_EQ(fp_target_tcp(&target, generic(&v4), sizeof v4 - 1), -EINVAL);
    CHECK_EQ(fp_target_tcp(&target, generic(&v6), sizeof v4), -EINVAL);
    CHECK_EQ(fp_target_tcp(&target, &unspecified, sizeof unspecified), -EINVAL);
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    CHECK_EQ(fp_target_tcp(&target, generic(&path), offsetof(struct sockaddr_un, sun_path)), -EINVAL);
}

static void a_host_header_is_visible_ascii(void) {
    char long_host[FP_HOST_HEADER_MAX + 2];
    memset(long_host, 'h', sizeof long_host - 1);
    long_host[sizeof long_host - 1] = '\0';
    const char *const refused[] = {"", "a b", "a\r\nX: y", "\xc3\xa9", "a\x7f", long_host};
    const fp_http_plan_spec spec = get("/");
    fp_http_plan *plan = new_plan(&spec);
    fp_target *target;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        CHECK_EQ(fp_target_http(&target, generic(&v4), sizeof v4, plan, refused[i]), -EINVAL);
    CHECK_EQ(plan->references, 1);
    CHECK_EQ(fp_target_http(&target, generic(&v4), sizeof v4, plan, long_host + 1), 0);
    fp_target_free(target);
    fp_http_plan_release(plan);
}

static void the_largest_request_fits_its_bound(void) {
    static char value[15000], host[FP_HOST_HEADER_MAX + 1], out[FP_HTTP_REQUEST_MAX];
    memset(host, 'h', sizeof host - 1);
    fp_http_header header = {"X", value};
    fp_http_plan_spec spec = get("/");
    spec.headers = &header;
    spec.n_headers = 1;
    for (size_t len = 15000; len < 16000; len++) { /* grow until it is refused */
        static char grown[16001];
        memset(grown, 'v', len);
        grown[len] = '\0';
        header.value = grown;
        if (fp_http_plan_problem(&spec)) break;
        fp_target *target = new_target(new_plan(&spec), host);
        CHECK(fp_target_request(target, out, sizeof out) <= sizeof out);
        fp_target_free(target);
        CHECK(len < 15999);
    }
}

static void an_unresolved_target_is_a_verdict(void) {
    fp_target *target;
    CHECK_EQ(fp_target_unresolved(&target, FP_FAIL, FP_REASON_DNS_NXDOMAIN), 0);
    CHECK_EQ(target->kind, FP_TARGET_UNRESOLVED);
    CHECK_EQ(target->result, FP_FAIL);
    CHECK_EQ(target->reason, FP_REASON_DNS_NXDOMAIN);
    CHECK_EQ(fp_target_request(target, NULL, 0), 0);
    fp_target_free(target);
    CHECK_EQ(fp_target_unresolved(&target, FP_OK, FP_REASON_DNS_NXDOMAIN), -EINVAL);
    CHECK_EQ(fp_target_unresolved(&target, FP_ERROR, 99), -EINVAL);
}

static void a_million_targets_are_small(void) {
    const fp_http_plan_spec spec = get("/healthz");
    fp_target *target = new_target(new_plan(&spec), "10.11.12.13:8080");
    CHECK_EQ(fp_target_bytes(target), 40 + 16);
    fp_target_free(target);
}

int main(void) {
    RUN(a_request_is_what_a_person_would_type);
    RUN(keep_alive_says_nothing_and_head_asks_for_no_body);
    RUN(given_headers_follow_ours_and_take_their_place);
    RUN(a_request_that_does_not_fit_is_not_written);
    RUN(what_a_request_must_not_hold_is_refused_in_words);
    RUN(two_host_headers_are_refused);
    RUN(statuses_are_as_given_or_any_2xx);
    RUN(expected_headers_are_fulfilled_one_bit_each);
    RUN(a_plan_keeps_copies_of_everything);
    RUN(a_plan_lives_as_long_as_its_last_target);
    RUN(references_are_counted_across_threads);
    RUN(an_address_is_kept_as_connect_wants_it);
    RUN(an_address_of_another_size_or_family_is_refused);
    RUN(a_host_header_is_visible_ascii);
    RUN(the_largest_request_fits_its_bound);
    RUN(an_unresolved_target_is_a_verdict);
    RUN(a_million_targets_are_small);
    return 0;
}
