/* echo_message.c - ICMP echo messages, made and read. Pure over bytes: no socket, no clock, no memory taken. */
#include "fastprobe/echo.h"

#include <assert.h>
#include <string.h>

#define COOKIE_BYTES  FP_ECHO_PAYLOAD_MIN
#define IPV4_HEADER   20u
#define IPV6_HEADER   40u
#define PROTO_ICMP    1u
#define PROTO_ICMPV6  58u
#define V4_REPLY      0u
#define V4_UNREACHED  3u
#define V4_TOO_BIG    4u /* a code of the former */
#define V4_REQUEST    8u
#define V4_EXPIRED    11u
#define V6_UNREACHED  1u
#define V6_TOO_BIG    2u
#define V6_EXPIRED    3u
#define V6_REQUEST    128u
#define V6_REPLY      129u
#define CHECKSUM_GOOD 0u

static uint16_t be16(const uint8_t *bytes) {
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static uint32_t be32(const uint8_t *bytes) {
    return (uint32_t)be16(bytes) << 16 | be16(bytes + 2);
}

static void put16(uint8_t *bytes, uint16_t value) {
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

static void put32(uint8_t *bytes, uint32_t value) {
    put16(bytes, (uint16_t)(value >> 16));
    put16(bytes + 2, (uint16_t)value);
}

/* RFC 1071. Over a message that holds its own checksum: CHECKSUM_GOOD. */
static uint16_t checksum(const uint8_t *data, size_t len) {
    uint32_t sum = 0;
    for (; len > 1; data += 2, len -= 2) sum += be16(data);
    if (len) sum += (uint32_t)data[0] << 8;
    while (sum >> 16) sum = (sum & 0xFFFF) + (sum >> 16);
    return (uint16_t)~sum;
}

static uint8_t pattern(size_t at) {
    return (uint8_t)at;
}

size_t fp_echo_request(const fp_echo *echo, bool v6, uint8_t *out) {
    assert(echo && out && echo->payload >= FP_ECHO_PAYLOAD_MIN && echo->payload <= FP_ECHO_PAYLOAD_MAX);
    const size_t size = FP_ECHO_HEADER + echo->payload;
    out[0] = v6 ? V6_REQUEST : V4_REQUEST;
    out[1] = 0;
    put16(out + 2, 0);
    put16(out + 4, echo->id);
    put16(out + 6, echo->sequence);
    put32(out + FP_ECHO_HEADER, echo->run);
    put32(out + FP_ECHO_HEADER + 4, echo->nonce);
    for (size_t at = COOKIE_BYTES; at < echo->payload; at++) out[FP_ECHO_HEADER + at] = pattern(at);
    if (!v6) put16(out + 2, checksum(out, size));
    return size;
}

/* Header and cookie of a request or a reply, as far as they are there; at least the header is. */
static void take_echo(const uint8_t *message, size_t len, fp_echo *echo) {
    echo->id = be16(message + 4);
    echo->sequence = be16(message + 6);
    if (len < FP_ECHO_HEADER + COOKIE_BYTES) return;
    echo->run = be32(message + FP_ECHO_HEADER);
    echo->nonce = be32(message + FP_ECHO_HEADER + 4);
    echo->payload = (uint16_t)(len - FP_ECHO_HEADER);
}

static bool is_pattern(const uint8_t *payload, size_t len) {
    for (size_t at = COOKIE_BYTES; at < len; at++)
        if (payload[at] != pattern(at)) return false;
    return true;
}

/* How long the IPv4 header is, with its options; 0: it is none of ICMP's. */
static size_t ipv4_header(const uint8_t *data, size_t len) {
    if (len < IPV4_HEADER || data[0] >> 4 != 4 || data[9] != PROTO_ICMP) return 0;
    const size_t size = (size_t)(data[0] & 0x0F) * 4;
    return size >= IPV4_HEADER && size <= len ? size : 0;
}

/* The request that an error quotes: its IP header, and what fits behind. */
static bool take_quoted(bool v6, const uint8_t *data, size_t len, fp_echo_answer *answer) {
    size_t header = IPV6_HEADER;
    if (!v6)
        header = ipv4_header(data, len);
    else if (len < IPV6_HEADER || data[0] >> 4 != 6 || data[6] != PROTO_ICMPV6)
        header = 0;
    if (!header || len - header < FP_ECHO_HEADER) return false;
    const uint8_t *message = data + header;
    if (message[0] != (v6 ? V6_REQUEST : V4_REQUEST)) return false;
    memcpy(answer->to, data + (v6 ? 24 : 16), v6 ? 16 : 4);
    take_echo(message, len - header, &answer->echo);
    return true;
}

static uint8_t reason_of(bool v6, uint8_t type, uint8_t code) {
    if (type == (v6 ? V6_EXPIRED : V4_EXPIRED)) return FP_REASON_ICMP_EXPIRED;
    if (v6 ? type == V6_TOO_BIG : type == V4_UNREACHED && code == V4_TOO_BIG) return FP_REASON_ICMP_TOO_BIG;
    if (type == (v6 ? V6_UNREACHED : V4_UNREACHED)) return FP_REASON_CONNECT_UNREACHABLE;
    return FP_REASON_NONE;
}

enum fp_echo_reading fp_echo_read(bool v6, bool with_header, const uint8_t *data, size_t len, fp_echo_answer *answer) {
    assert(answer && (data || !len) && !(v6 && with_header));
    *answer = (fp_echo_answer){0};
    if (with_header) {
        const size_t header = ipv4_header(data, len);
        if (!header) return FP_ECHO_STRAY;
        data += header;
        len -= header;
    }
    if (len < FP_ECHO_HEADER || (!v6 && checksum(data, len) != CHECKSUM_GOOD)) return FP_ECHO_STRAY;
    if (data[0] == (v6 ? V6_REPLY : V4_REPLY)) {
        if (len > FP_ECHO_HEADER + FP_ECHO_PAYLOAD_MAX) return FP_ECHO_STRAY;
        take_echo(data, len, &answer->echo);
        answer->intact = answer->echo.payload && is_pattern(data + FP_ECHO_HEADER, answer->echo.payload);
        return answer->echo.payload ? FP_ECHO_REPLY : FP_ECHO_STRAY;
    }
    answer->reason = reason_of(v6, data[0], data[1]);
    answer->code = data[1];
    if (!answer->reason || !take_quoted(v6, data + FP_ECHO_HEADER, len - FP_ECHO_HEADER, answer)) return FP_ECHO_STRAY;
    return FP_ECHO_ERROR;
}
