from meshkit_fastprobe._native.core cimport fp_failures


cdef class Failures:
    cdef fp_failures *_failures
    cdef object _capacity
