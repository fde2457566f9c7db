#include "fastprobe/base.h"

#include <stdlib.h>
#include <sys/mman.h>

const char *fp_reason_name(unsigned reason) {
    switch (reason) {
#define FP_REASON_NAME(number, name, text, message)                                                                            \
    case number:                                                                                                               \
        return text;
        FP_REASONS(FP_REASON_NAME)
#undef FP_REASON_NAME
    default:
        return NULL;
    }
}

const char *fp_reason_message(unsigned reason) {
    switch (reason) {
#define FP_REASON_MESSAGE(number, name, text, message)                                                                         \
    case number:                                                                                                               \
        return message;
        FP_REASONS(FP_REASON_MESSAGE)
#undef FP_REASON_MESSAGE
    default:
        return NULL;
    }
}

void *fp_reserve(size_t bytes) {
    /* NORESERVE: a table for a million probes that holds ten must not count against overcommit. */
    void *memory = mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void fp_release(void *memory, size_t bytes) {
    if (memory) munmap(memory, bytes ? bytes : 1);
}
