"""A disk that answers with EIO, to one process and while a file is there: a library that is loaded before the C library."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap

import pytest

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* While the file of FAIL_WHILE is there, whatever is written to a file of the audit's database ends in EIO. */
static int fails(int fd) {
    char link[64], path[4096];
    const char *while_there = getenv("FAIL_WHILE");
    if (!while_there || access(while_there, F_OK)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0) return 0;
    path[size] = 0;
    return strstr(path, "audit.db") != NULL;
}
#define FAILING(type, name, parameters, arguments)                    \
    type name parameters {                                            \
        static type(*real) parameters;                                \
        if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name);         \
        if (fails(fd)) { errno = EIO; return -1; }                    \
        return real arguments;                                        \
    }
FAILING(ssize_t, pwrite, (int fd, const void *b, size_t n, off_t o), (fd, b, n, o))
FAILING(ssize_t, pwrite64, (int fd, const void *b, size_t n, off64_t o), (fd, b, n, o))
FAILING(ssize_t, write, (int fd, const void *b, size_t n), (fd, b, n))
FAILING(int, fsync, (int fd), (fd))
FAILING(int, fdatasync, (int fd), (fd))
"""

needs_a_compiler = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("gcc") is None, reason="needs gcc: apt-get install gcc"
)


def run_on_bad_disk(tmp_path, program, *arguments):
    """What ended. The disk fails while tmp_path/fail is there, which is the program's first argument."""
    source, shim, switch = tmp_path / "eio.c", tmp_path / "eio.so", tmp_path / "fail"
    source.write_text(SHIM)
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", shim, source, "-ldl"], check=True, capture_output=True)
    environment = {**os.environ, "LD_PRELOAD": str(shim), "FAIL_WHILE": str(switch)}
    command = [sys.executable, "-c", textwrap.dedent(program), str(switch), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180, check=False)
