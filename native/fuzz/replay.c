/* replay.c - a main() for a fuzz harness where libFuzzer is absent: every file of the corpus given, as it is and with some
 * hundred seeded mutations. Not a search, but it keeps what a search has found. */
#include "../tests/check.h"
#include <dirent.h>

#define MUTATIONS 300u
#define LARGEST   65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t read_file(const char *path, uint8_t *out) {
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    const size_t size = fread(out, 1, LARGEST, file);
    fclose(file);
    return size;
}

/* Overwrite, delete or double a few bytes at random places. */
static size_t mutate(check_rng *rng, uint8_t *data, size_t size) {
    static const char favourites[] = "\r\n\0 \t:;,0918fF\xff";
    for (uint64_t i = 1 + check_below(rng, 4); i > 0 && size > 1; i--) {
        const size_t at = check_below(rng, size), run = 1 + check_below(rng, size - at < 8 ? size - at : 8);
        switch (check_below(rng, 4)) {
        case 0:
            data[at] = (uint8_t)check_random(rng);
            break;
        case 1:
            data[at] = (uint8_t)favourites[check_below(rng, sizeof favourites)];
            break;
        case 2:
            memmove(data + at, data + at + run, size - at - run);
            size -= run;
            break;
        default:
            if (size + run > LARGEST) break;
            memmove(data + at + run, data + at, size - at);
            size += run;
        }
    }
    return size;
}

/* The generator starts anew for each file: what happens to one does not depend on which others there are. */
static void replay_file(const char *path, check_rng rng) {
    static uint8_t original[LARGEST], mutant[LARGEST];
    const size_t size = read_file(path, original);
    LLVMFuzzerTestOneInput(original, size);
    for (unsigned i = 0; i < MUTATIONS; i++) {
        memcpy(mutant, original, size);
        LLVMFuzzerTestOneInput(mutant, mutate(&rng, mutant, size));
    }
}

static unsigned replay_directory(const char *directory, check_rng rng) {
    unsigned files = 0;
    DIR *entries = opendir(directory);
    CHECK(entries != NULL);
    for (struct dirent *entry; (entry = readdir(entries));) {
        char path[4096];
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        replay_file(path, rng);
        files++;
    }
    closedir(entries);
    return files;
}

int main(int argc, char **argv) {
    const check_rng rng = check_seed(0x66757a7a);
    CHECK_EQ(argc, 2);
    const unsigned files = replay_directory(argv[1], rng);
    printf("%s: %u files, %u mutations of each\n", argv[1], files, MUTATIONS);
    CHECK(files > 0);
    return 0;
}
