from meshkit_fastprobe._native.core cimport fp_dns_plan, fp_echo, fp_udp_plan


cdef class UdpPlan:
    cdef fp_udp_plan *_plan


cdef class DnsPlan:
    cdef fp_dns_plan *_plan


cdef class Echo:
    cdef fp_echo _asked
    cdef bint _v6
