/* bell.h - what one thread rings to wake another: an eventfd, or a pipe where the platform has none.
 *
 * Its descriptor is readable from a ring until fp_bell_quiet. Rings in between add nothing. */
#ifndef FASTPROBE_BELL_H
#define FASTPROBE_BELL_H
#include "fastprobe/base.h"

typedef struct fp_bell {
    int fd;      /* to be watched; -1: no bell */
    int ring_fd; /* the same for an eventfd */
} fp_bell;

int fp_bell_new(fp_bell *bell); /* -EMFILE, and no bell */
void fp_bell_free(fp_bell *bell);
void fp_bell_ring(const fp_bell *bell);
void fp_bell_quiet(const fp_bell *bell); /* calm when it was not rung */

#endif
