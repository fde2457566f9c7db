"""Extensions over one static C library; everything else is in pyproject.toml."""

import os
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_clib import build_clib
from setuptools.command.build_ext import build_ext

C_FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-O3", "-fvisibility=hidden", "-fno-plt", "-pthread"] if sys.platform != "win32" else []
# FP_NO_EPOLL=1 builds what other systems get: no native lane (native/Makefile keeps the same lists).
NO_EPOLL = sys.platform != "linux" or os.environ.get("FP_NO_EPOLL") == "1"
POSIX_ONLY = {"poll_posix.c", "no_native_lane.c"}
EPOLL_ONLY = {
    "poll_epoll.c",
    "batches.c",
    "connections.c",
    "datagrams.c",
    "echoes.c",
    "engine_runs.c",
    "engine_traces.c",
    "questions.c",
    *(p.name for p in Path("native/src/probes").iterdir()),
}
C_SOURCES = sorted(
    str(path) for path in Path("native/src").rglob("*.c") if path.name not in (EPOLL_ONLY if NO_EPOLL else POSIX_ONLY)
)
C_HEADERS = sorted(str(path) for path in [*Path("native/include").rglob("*.h"), *Path("native/src").rglob("*.h")])
# FP_EXTENSIONS=later leaves the compiling of an editable install to `build_ext --inplace --parallel`, which may take all cores.
LATER = os.environ.get("FP_EXTENSIONS") == "later"
MODULES = [] if LATER else sorted(Path("src/meshkit_fastprobe/_native").glob("*.pyx"))


class BuildExtWithLibrary(build_ext):
    """`build_ext --inplace` alone leaves the C library unbuilt; this one builds it first."""

    def run(self) -> None:
        self.run_command("build_clib")
        super().run()


class BuildPicClib(build_clib):
    """Objects of the static library end up in shared objects."""

    def build_libraries(self, libraries: list) -> None:
        for _name, info in libraries:
            info["cflags"] = [*C_FLAGS, "-fPIC", *(["-DFP_NO_EPOLL"] if NO_EPOLL else [])]
        super().build_libraries(libraries)


extensions = [
    Extension(
        f"meshkit_fastprobe._native.{path.stem}",
        [str(path)],
        include_dirs=["native/include"],
        depends=[*C_SOURCES, *C_HEADERS],
        extra_compile_args=["-O2", "-pthread", "-Wno-unused-function"],
        extra_link_args=["-pthread"],
    )
    for path in MODULES
]

setup(
    cmdclass={"build_ext": BuildExtWithLibrary, "build_clib": BuildPicClib},
    libraries=[]
    if LATER
    else [("fastprobe", {"sources": C_SOURCES, "include_dirs": ["native/include", "native/src"], "obj_deps": {"": C_HEADERS}})],
    ext_modules=cythonize(
        extensions,
        build_dir="build/cython",
        quiet=True,
        nthreads=(os.cpu_count() or 1) if sys.platform == "linux" else 0,  # elsewhere a child would run this file again
        include_path=["src"],
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "embedsignature": True,
            "embedsignature.format": "python",
        },
    ),
)
