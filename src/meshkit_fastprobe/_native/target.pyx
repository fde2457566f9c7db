"""Native targets and HTTP plans: Python values to C structs, refusals of the core to ValueError."""
cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.errno cimport ENOMEM
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy, memset

from meshkit_fastprobe._native.core cimport (
    FP_HTTP_REQUEST_MAX,
    fp_http_header,
    fp_http_plan_new,
    fp_http_plan_problem,
    fp_http_plan_release,
    fp_http_plan_spec,
    fp_route_new,
    fp_route_release,
    fp_route_spec,
    fp_target_bytes,
    fp_target_dns,
    fp_target_free,
    fp_target_half_handshake,
    fp_target_http,
    fp_target_icmp,
    fp_target_request,
    fp_target_route,
    fp_target_tcp,
    fp_target_udp,
    fp_target_unresolved,
    sockaddr,
    socklen_t,
)

from meshkit_fastprobe._native.datagram cimport DnsPlan, UdpPlan

cdef extern from "<netinet/in.h>" nogil:
    struct in_addr:
        pass
    struct in6_addr:
        pass
    struct sockaddr_in:
        unsigned short sin_family
        uint16_t sin_port
        in_addr sin_addr
    struct sockaddr_in6:
        unsigned short sin6_family
        uint16_t sin6_port
        in6_addr sin6_addr
        uint32_t sin6_scope_id
    uint16_t htons(uint16_t)

cdef extern from "<sys/un.h>" nogil:
    struct sockaddr_un:
        unsigned short sun_family
        char sun_path[108]

cdef extern from "<arpa/inet.h>" nogil:
    int inet_pton(int, const char *, void *)

cdef extern from "<net/if.h>" nogil:
    unsigned int if_nametoindex(const char *)

cdef extern from "<sys/socket.h>" nogil:
    enum:
        AF_INET
        AF_INET6
        AF_UNIX

cdef union any_address:
    sockaddr generic
    sockaddr_in v4
    sockaddr_in6 v6
    sockaddr_un path


cdef bytes c_text(str what, str text):
    """Bytes that C reads to their end: a NUL inside would cut them."""
    if "\0" in text:
        raise ValueError(f"{what} holds a NUL")
    return text.encode()


cdef uint32_t scope_id(str host, str scope) except? 0:
    cdef bytes name = c_text("the scope", scope)
    cdef uint32_t index = if_nametoindex(name)
    if index == 0 and scope.isascii() and scope.isdigit():
        index = min(int(scope), 0xffffffff)
    if index == 0:
        raise ValueError(f"{host!r}: this host has no interface named {scope!r}")
    return index


cdef socklen_t unix_address(str host, int port, any_address *address) except 0:
    cdef bytes path = c_text("the path of a unix socket", host)
    cdef size_t length = len(path), before_path = <char *>&address.path.sun_path - <char *>address
    if port != 0:
        raise ValueError(f"{host!r}: a unix socket has no port")
    if length < 2 or length >= sizeof(address.path.sun_path):
        raise ValueError(f"{host!r}: the path of a unix socket is 2 to {sizeof(address.path.sun_path) - 1} bytes long")
    address.path.sun_family = AF_UNIX
    memcpy(address.path.sun_path, <const char *>path, length)
    if path.startswith(b"@"):
        address.path.sun_path[0] = 0  # an abstract name: it ends where the address ends
        return <socklen_t>(before_path + length)
    return <socklen_t>(before_path + length + 1)


cdef socklen_t parse_address(str host, int port, any_address *address) except 0:
    memset(address, 0, sizeof(any_address))
    if host.startswith(("/", "@")):
        return unix_address(host, port, address)
    if not 1 <= port <= 65535:
        raise ValueError(f"port {port} is not in 1..65535")
    literal, percent, scope = host.partition("%")
    cdef bytes text = c_text("the address", literal)
    if not percent and inet_pton(AF_INET, text, &address.v4.sin_addr) == 1:
        address.v4.sin_family = AF_INET
        address.v4.sin_port = htons(<uint16_t>port)
        return sizeof(sockaddr_in)
    if inet_pton(AF_INET6, text, &address.v6.sin6_addr) == 1:
        address.v6.sin6_family = AF_INET6
        address.v6.sin6_port = htons(<uint16_t>port)
        if percent:
            address.v6.sin6_scope_id = scope_id(host, scope)
        return sizeof(sockaddr_in6)
    raise ValueError(f"{host!r} is neither an IP address nor the path of a unix socket")


@cython.final
cdef class _Headers:
    """Name and value pairs as C sees them; keeps the bytes alive."""

    cdef fp_http_header *pairs
    cdef uint32_t n
    cdef list _alive

    def __cinit__(self, headers):
        cdef bytes name, value
        self._alive = []
        self.pairs = <fp_http_header *>PyMem_Malloc(max(len(headers), 1) * sizeof(fp_http_header))
        if self.pairs is NULL:
            raise MemoryError
        for key, text in headers.items():
            name, value = c_text("a header's name", key), c_text("a header's value", text)
            self._alive.append((name, value))
            self.pairs[self.n].name = name
            self.pairs[self.n].value = value
            self.n += 1

    def __dealloc__(self):
        PyMem_Free(self.pairs)


@cython.final
cdef class HttpPlan:
    """A request and what is expected of its answer, shared by any number of targets."""

    def __cinit__(
        self,
        *,
        str method,
        str path,
        headers,
        status,
        expect_headers,
        bytes body_contains,
        uint32_t max_body,
        bint keep_alive,
        uint32_t idle_ms=0,
    ):
        cdef bytes method_text = c_text("the method", method)
        cdef bytes path_text = c_text("the path", path)
        cdef _Headers sent = _Headers(headers)
        cdef _Headers expected = _Headers(expect_headers)
        cdef uint16_t statuses[1000]
        cdef const char *problem
        cdef fp_http_plan_spec spec
        memset(&spec, 0, sizeof(spec))
        spec.method = method_text
        spec.path = path_text
        spec.headers, spec.n_headers = sent.pairs, sent.n
        spec.expect_headers, spec.n_expect_headers = expected.pairs, expected.n
        spec.status = statuses
        for code in sorted(set(status)):
            if not 100 <= code <= 999:
                raise ValueError(f"an expected status is not in 100..999: {code}")
            statuses[spec.n_status] = code
            spec.n_status += 1
        if body_contains:
            spec.body_contains, spec.body_contains_len = <const char *>body_contains, <uint32_t>len(body_contains)
        spec.max_body = max_body
        spec.keep_alive = keep_alive
        spec.idle_ms = idle_ms
        problem = fp_http_plan_problem(&spec)
        if problem is not NULL:
            raise ValueError((<bytes>problem).decode())
        if fp_http_plan_new(&self._plan, &spec) != 0:
            raise MemoryError

    def __dealloc__(self):
        fp_http_plan_release(self._plan)


@cython.final
cdef class Route:
    """How packets leave this host; shared by any number of targets."""

    def __cinit__(self, *, str source="", str interface="", uint32_t mark=0, uint8_t tos=0):
        cdef any_address address
        cdef bytes name = c_text("the interface", interface)
        cdef fp_route_spec spec
        memset(&spec, 0, sizeof(spec))
        if source:
            if source.startswith(("/", "@")):
                raise ValueError(f"{source!r} is not an IP address")
            spec.source_len = parse_address(source, 1, &address)  # the port is not looked at
            spec.source = &address.generic
        if interface:
            spec.interface = name
        spec.mark = mark
        spec.tos = tos
        cdef int failed = fp_route_new(&self._route, &spec)
        if failed == -ENOMEM:
            raise MemoryError
        if failed != 0:
            raise ValueError(f"{interface!r} is not the name of an interface: 1 to 15 bytes")

    def __dealloc__(self):
        fp_route_release(self._route)


@cython.final
cdef class Target:
    """A native target at a literal address; spent once it is handed to an engine."""

    def __cinit__(self):
        self._target = NULL

    def __init__(self):
        raise TypeError("make a target with Target.tcp, http, udp, dns or unresolved")

    def __dealloc__(self):
        fp_target_free(self._target)

    cdef fp_target *take(self) except NULL:
        cdef fp_target *taken = self._target
        if taken is NULL:
            raise RuntimeError("this target was handed to an engine before: make a new one")
        self._target = NULL
        return taken

    cdef int _made(self, int failed) except -1:
        if failed == -ENOMEM:
            raise MemoryError
        if failed != 0:
            raise ValueError("a unix socket takes no datagrams of ours")
        return 0

    cdef int _by(self, Route route) except -1:
        if route is not None and fp_target_route(self._target, route._route) != 0:
            raise ValueError("the source is an address of the other family than the target, or the target is a unix socket")
        return 0

    @staticmethod
    def tcp(str host, int port, *, bint half=False, Route route=None) -> Target:
        """host: an IP address, or the path of a unix socket ("@name" for an abstract one) with port 0."""
        cdef any_address address
        cdef socklen_t length = parse_address(host, port, &address)
        cdef Target target = Target.__new__(Target)
        if fp_target_tcp(&target._target, &address.generic, length) != 0:
            raise MemoryError
        target._by(route)
        if half:
            if address.generic.sa_family == AF_UNIX:
                raise ValueError("a unix socket has no handshake to end half way")
            fp_target_half_handshake(target._target)
        return target

    @staticmethod
    def http(str host, int port, HttpPlan plan not None, str host_header, *, Route route=None) -> Target:
        """The same, asked with the plan's request."""
        cdef any_address address
        cdef socklen_t length = parse_address(host, port, &address)
        cdef bytes header = c_text("the Host header", host_header)
        cdef Target target = Target.__new__(Target)
        cdef int failed = fp_target_http(&target._target, &address.generic, length, plan._plan, header)
        if failed == -ENOMEM:
            raise MemoryError
        if failed != 0:
            raise ValueError(f"{host_header!r} cannot be a Host header: 1 to 300 visible ASCII characters")
        target._by(route)
        return target

    @staticmethod
    def udp(str host, int port, UdpPlan plan not None, *, Route route=None) -> Target:
        """An IP address, sent the plan's datagram."""
        cdef any_address address
        cdef socklen_t length = parse_address(host, port, &address)
        cdef Target target = Target.__new__(Target)
        target._made(fp_target_udp(&target._target, &address.generic, length, plan._plan))
        target._by(route)
        return target

    @staticmethod
    def dns(str host, int port, DnsPlan plan not None, *, Route route=None) -> Target:
        """An IP address, asked the plan's question."""
        cdef any_address address
        cdef socklen_t length = parse_address(host, port, &address)
        cdef Target target = Target.__new__(Target)
        target._made(fp_target_dns(&target._target, &address.generic, length, plan._plan))
        target._by(route)
        return target

    @staticmethod
    def icmp(str host, uint16_t payload_bytes, *, Route route=None) -> Target:
        """An IP address, sent an echo request."""
        cdef any_address address
        cdef socklen_t length = parse_address(host, 1, &address)
        cdef Target target = Target.__new__(Target)
        if address.generic.sa_family == AF_INET:
            address.v4.sin_port = 0  # ICMP has none
        else:
            address.v6.sin6_port = 0
        target._made(fp_target_icmp(&target._target, &address.generic, length, payload_bytes))
        target._by(route)
        return target

    @staticmethod
    def unresolved(uint8_t result, uint8_t reason) -> Target:
        """Every run ends at once with this result (FAIL or ERROR) and reason."""
        cdef Target target = Target.__new__(Target)
        cdef int failed = fp_target_unresolved(&target._target, result, reason)
        if failed == -ENOMEM:
            raise MemoryError
        if failed != 0:
            raise ValueError(f"result {result} with reason {reason} is not a failure")
        return target

    @property
    def nbytes(self) -> int:
        """Bytes held in C memory; 0 once spent. Plans are shared and not counted."""
        return fp_target_bytes(self._target) if self._target is not NULL else 0

    def request(self) -> bytes:
        """What an HTTP target sends; empty for one that sends nothing. RuntimeError once spent."""
        cdef char out[FP_HTTP_REQUEST_MAX]
        if self._target is NULL:
            raise RuntimeError("this target was handed to an engine")
        return out[:fp_target_request(self._target, out, FP_HTTP_REQUEST_MAX)]
