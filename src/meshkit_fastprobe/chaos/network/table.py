"""The nf_tables table of one experiment: ours by name, owned by our socket, and without force once its lease has run out.

    table inet meshkit_MARK {                # flags owner: gone when our process is
        set lease { type inet_proto; flags timeout; elements = { tcp timeout 3s } }
        chain in { type filter hook input priority filter; policy accept;
            tcp dport 9464 accept            # what is spared: the control plane's own ports
            meta nfproto ipv4 ip saddr 10.0.0.7 meta l4proto tcp tcp sport 5432
                meta l4proto @lease numgen random mod 1000000 < 300000 counter drop
        }
    }

Everything hangs on the set `lease`, renewed each second: a process that is stopped and not dead loses its force with it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple, Protocol

import msgspec

from meshkit_fastprobe.chaos.lots import Loss
from meshkit_fastprobe.chaos.network import nft
from meshkit_fastprobe.chaos.network.endpoints import Endpoint
from meshkit_fastprobe.chaos.network.netlink import KernelRefusedError, Message, Netfilter

PREFIX: Final = "meshkit_"
LEASE_SET: Final = "lease"
LEASE_ELEMENTS: Final = 256
"""Twice as many as there are protocols of interest, with room: the replaced ones count until the kernel swept them up."""
ODDS: Final = 1_000_000
"""Ratios are kept in millionths."""
TCP: Final = 6
UDP: Final = 17
REHEARSED_TABLE: Final = 0
REHEARSED_RULE: Final = 3
"""Which message of a rehearsal asks for what a kernel may lack."""
PROTOCOLS: Final = {
    "tcp": (TCP,),
    "udp": (UDP,),
    "icmp": (1, 58),
    "any": (1, TCP, UDP, 33, 47, 50, 58, 132),  # and DCCP, GRE, ESP, ICMPv6, SCTP
}

_ADDRESSES: Final = {4: (nft.IPV4, 12, 16), 6: (nft.IPV6, 8, 24)}  # family, where source and destination stand in the header


class Scope(msgspec.Struct, frozen=True):
    """Which packets one table is about."""

    targets: tuple[Endpoint, ...]
    protocol: str
    direction: Literal["out", "in", "both"]
    spared_ports: tuple[int, ...]


class Table(NamedTuple):
    """One that is there. owner: the port of the socket that it lives with."""

    owner: int | None
    comment: str


def lose(loss: Loss) -> list[bytes]:
    """What happens to packets: lost by lot, or of each cycle of packets the first `burst`.

    Bursts by lot would need a set that remembers being in one, and the kernel sweeps up the elements of sets too slowly.
    """
    if loss.burst == 1:
        return [*nft.one_in(nft.RANDOM, round(loss.ratio * ODDS), ODDS), *nft.counted(nft.DROP)]
    return [*nft.one_in(nft.COUNTING, loss.burst, loss.cycle), *nft.counted(nft.DROP)]


def build(name: str, comment: str, scope: Scope, action: Sequence[bytes], lease_ms: int) -> list[Message]:
    """The whole table, for one commit. action: the end of each rule, which decides."""
    rules = []
    for chain, hook, theirs in (("in", nft.HOOK_IN, 0), ("out", nft.HOOK_OUT, 1)):
        if scope.direction not in {chain, "both"}:
            continue
        rules.append(nft.new_chain(name, chain, hook))
        for port in scope.spared_ports:
            ends = [_port(kind, end, port) for kind in (TCP, UDP) for end in (0, 1)]
            rules += [nft.new_rule(name, chain, [*end, *nft.counted(nft.ACCEPT)]) for end in ends]
        for target in scope.targets:
            for matched in _matches(target, scope.protocol, theirs):
                rules.append(nft.new_rule(name, chain, [*matched, *nft.protocol_in(LEASE_SET), *action]))
    return [
        nft.new_table(name, comment),
        nft.new_set(name, LEASE_SET, nft.SET_TIMEOUT, LEASE_ELEMENTS),
        *rules,
        nft.new_elements(name, LEASE_SET, PROTOCOLS[scope.protocol], lease_ms),
    ]


def _matches(target: Endpoint, protocol: str, theirs: int) -> Iterator[list[bytes]]:
    """Packets whose source (0) or destination (1) is the target; one list for each protocol that has ports."""
    network = target.network
    family, *offsets = _ADDRESSES[network.version]
    address = nft.meta_is(nft.META_NFPROTO, family)
    if network.prefixlen:
        mask = None if network.prefixlen == network.max_prefixlen else network.netmask.packed
        address += nft.payload_is(nft.NETWORK_HEADER, offsets[theirs], network.network_address.packed, mask)
    if not target.port:
        yield address
        return
    for kind in (TCP, UDP):
        if kind in PROTOCOLS[protocol]:
            yield address + _port(kind, theirs, target.port)


def _port(kind: int, theirs: int, port: int) -> list[bytes]:
    header = nft.payload_is(nft.TRANSPORT_HEADER, 2 * theirs, port.to_bytes(2, "big"))
    return [*nft.meta_is(nft.META_L4PROTO, kind), *header]


# -- tables that this process holds --------------------------------------------------------------------------------------


class Companion(Protocol):
    """What a table needs beside it."""

    def ask(self, message: bytes) -> bytes:
        """FaultError: it does not live."""

    def hang_up(self) -> None: ...
    def disown(self) -> None:
        """In a forked child: it is another's."""


class Held(NamedTuple):
    """A table of ours, and what goes with it."""

    netfilter: Netfilter
    companion: Companion | None


_held: dict[str, Held] = {}


def _let_go() -> None:
    """In a forked child: our copies of the sockets would keep the tables alive after we die."""
    for held in _held.values():
        held.netfilter.close()
        if held.companion is not None:
            held.companion.disown()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)


def hold(name: str, messages: Sequence[Message], companion: Companion | None = None) -> None:
    """Make the table, and keep the socket that it lives and dies with. OSError: refused, nothing was made."""
    netfilter = Netfilter()
    try:
        netfilter.commit(messages)
    except BaseException:
        netfilter.close()  # whatever was made is gone with it
        raise
    _held[name] = Held(netfilter, companion)


def renew(name: str, protocol: str, lease_ms: int) -> None:
    """Another lease from now. KeyError: we do not hold the table. OSError: ENOENT when the lease has run out.

    Elements are replaced, in one commit: those that are there take a new timeout only since Linux 6.12.
    """
    keys, held = PROTOCOLS[protocol], _held[name]
    if held.companion is not None:
        held.companion.ask(b"?")
    held.netfilter.commit([nft.delete_elements(name, LEASE_SET, keys), nft.new_elements(name, LEASE_SET, keys, lease_ms)])


def companion(name: str) -> Companion | None:
    """What goes with a table of ours."""
    held = _held.get(name)
    return None if held is None else held.companion


def release(name: str) -> None:
    """Remove the table: calm when it is gone. KernelRefusedError, EPERM: another living process owns it."""
    held = _held.pop(name, None) or Held(Netfilter(), None)
    with held.netfilter:
        try:
            if held.companion is not None:
                held.companion.hang_up()  # first: with the table the kernel would drop what the companion still holds
        finally:
            _delete(held.netfilter, name)


def _delete(netfilter: Netfilter, name: str) -> None:
    try:
        netfilter.commit([nft.delete_table(name)])
    except KernelRefusedError as error:
        if error.errno != errno.ENOENT:
            raise


def tables() -> dict[str, Table]:
    """Every table here that is named as ours are."""
    with Netfilter() as netfilter:
        told = [nft.table_told(answer) for answer in netfilter.dump(nft.list_tables())]
        return {name: Table(owner, comment) for name, owner, comment in told if name.startswith(PREFIX)}


def in_force(name: str) -> tuple[bool, int]:
    """Whether the lease of a table is running, and how many packets it has touched. OSError: ENOENT when it is gone."""
    with Netfilter() as netfilter:
        leased = nft.has_elements(netfilter.dump(nft.list_elements(name, LEASE_SET)))
        return leased, sum(nft.packets_touched(rule) for rule in netfilter.dump(nft.list_rules(name)))


def rehearse(action: Sequence[bytes]) -> None:
    """Let the kernel check a table with everything that we use, and take none of it. OSError: what it lacks."""
    name = f"{PREFIX}rehearsal"
    address = nft.meta_is(nft.META_NFPROTO, nft.IPV4)
    rule = [*address, *nft.protocol_in(LEASE_SET), *action]
    refused = nft.delete_table(f"{PREFIX}there-is-none")  # the last of the batch, so that all of it is undone
    batch = [
        nft.new_table(name, "rehearsal"),
        nft.new_set(name, LEASE_SET, nft.SET_TIMEOUT, LEASE_ELEMENTS),
        nft.new_chain(name, "none", None),
        nft.new_rule(name, "none", rule),
        nft.new_elements(name, LEASE_SET, PROTOCOLS["any"], 1000),
        refused,
    ]
    with Netfilter() as netfilter:
        try:
            netfilter.commit(batch)
        except KernelRefusedError as error:
            if error.at != len(batch) - 1 or error.errno != errno.ENOENT:
                raise
