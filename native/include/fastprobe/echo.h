/* echo.h - ICMP echo requests and what comes back: RFC 792, and RFC 4443 for IPv6. Pure over bytes.
 *
 * A request carries a cookie of its run at the head of its payload; a pattern fills the rest. */
#ifndef FASTPROBE_ECHO_H
#define FASTPROBE_ECHO_H
#include "fastprobe/base.h"

#define FP_ECHO_HEADER      8u
#define FP_ECHO_PAYLOAD_MIN 8u    /* the cookie */
#define FP_ECHO_PAYLOAD_MAX 8192u /* above some 1,472 the packet is cut in pieces on most links */
#define FP_ECHO_MAX         (60u + FP_ECHO_HEADER + FP_ECHO_PAYLOAD_MAX) /* an answer with its IPv4 header */

typedef struct fp_echo {
    uint16_t id; /* a ping socket puts its own in its place */
    uint16_t sequence;
    uint32_t run;   /* the cookie: which run, */
    uint32_t nonce; /* and a number that only who saw the request knows */
    uint16_t payload;
} fp_echo;

/* The message into out, which has room for header and payload; its length. The checksum of IPv6 is the kernel's business: it
 * covers the addresses too. */
size_t fp_echo_request(const fp_echo *echo, bool v6, uint8_t *out);

enum fp_echo_reading {
    FP_ECHO_STRAY = 0, /* neither of these, or damaged */
    FP_ECHO_REPLY = 1,
    FP_ECHO_ERROR = 2, /* somebody on the way, or the target itself, tells that a request went no further */
};
typedef struct fp_echo_answer {
    fp_echo echo;   /* of the request that is answered; payload 0 when an error quotes less than the cookie, which then is 0 */
    bool intact;    /* REPLY: the payload is a request's */
    uint8_t reason; /* ERROR: what it means, and */
    uint8_t code;   /* what exactly, as the RFC numbers it */
    uint8_t to[16]; /* ERROR: whom the request was for; IPv4 in the first four */
} fp_echo_answer;
/* with_header: IPv4's header comes first, as raw sockets give it. */
enum fp_echo_reading fp_echo_read(bool v6, bool with_header, const uint8_t *data, size_t len, fp_echo_answer *answer);

#endif
