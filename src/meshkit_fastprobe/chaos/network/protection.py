"""What no network fault may cut: the ways by which operators reach this process, and by which it records what it does."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Final, cast

from meshkit_fastprobe.chaos.faults.base import FaultError, FaultHost
from meshkit_fastprobe.chaos.network.endpoints import ALL_LOOPBACK, Endpoint, parse_endpoint, too_broad
from meshkit_fastprobe.errors import ConfigError

PROTECTED: Final = "protected"
"""The service that faults ask their host for: a collection of "address:port", address or network, as text."""


def endpoints_among(globs: Iterable[str]) -> tuple[str, ...]:
    """Those entries of [chaos] protected that are addresses, networks or `*:PORT`, for the service.

    As globs they only fit the words of a target; here a network that holds the address of etcd covers etcd.
    """
    found: list[str] = []
    for glob in globs:
        texts = [f"0.0.0.0/0{glob[1:]}", f"[::/0]{glob[1:]}"] if glob.startswith("*:") else [glob]
        with suppress(ConfigError):  # any other glob: guardrails.py compares it with words
            found += [str(parse_endpoint(PROTECTED, text)) for text in texts]
    return tuple(found)


def protected_endpoints(host: FaultHost) -> tuple[Endpoint, ...]:
    """Listening on every address is protected where this host reaches itself; strangers come to its port, which is spared."""
    try:
        said = cast("Iterable[str]", host.service(PROTECTED))
    except KeyError:
        return ()
    found: list[Endpoint] = []
    for text in said:
        try:
            endpoint = parse_endpoint(PROTECTED, text)
        except ConfigError as error:  # better no experiment than one that cuts what nobody can tell
            raise FaultError(f"what this host protects cannot be read: {error}") from None
        if endpoint.network.network_address.is_unspecified and endpoint.network.prefixlen:
            found += [Endpoint(loopback, endpoint.port) for loopback in ALL_LOOPBACK]
        else:
            found.append(endpoint)
    return tuple(found)


def refuse_protected(host: FaultHost, targets: Iterable[Endpoint], *, broad: bool) -> tuple[int, ...]:
    """The ports of this host that a fault has to spare; FaultError names a target that it must not have."""
    protected = protected_endpoints(host)
    for target in targets:
        for endpoint in protected:
            if target.touches(endpoint):
                raise FaultError(f"{target} covers {endpoint}, by which this host is controlled; choose targets without it")
        why = None if broad else too_broad(target)
        if why is not None:
            raise FaultError(f"{target} is {why}; write narrower targets, or broad = true if that is meant")
    return tuple(sorted({endpoint.port for endpoint in protected if endpoint.port}))
