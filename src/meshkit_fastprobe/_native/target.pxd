from meshkit_fastprobe._native.core cimport fp_http_plan, fp_route, fp_target


cdef class HttpPlan:
    cdef fp_http_plan *_plan


cdef class Route:
    cdef fp_route *_route


cdef class Target:
    cdef fp_target *_target
    # Hand the C target over to its next owner. RuntimeError when it has been handed over before.
    cdef fp_target *take(self) except NULL
    cdef int _made(self, int failed) except -1
    cdef int _by(self, Route route) except -1
