"""Faults that pass through a proxy of this process: one at a time, put on and taken off without waiting for a connection."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Final

from meshkit_fastprobe.chaos.faults.base import Backing, Effect, FaultError, FaultHost, FaultPlan, Way
from meshkit_fastprobe.chaos.network.endpoints import Endpoint, parse_endpoint
from meshkit_fastprobe.chaos.network.protection import refuse_protected
from meshkit_fastprobe.chaos.proxies import Proxy, Shape
from meshkit_fastprobe.chaos.threads import in_thread
from meshkit_fastprobe.config.options import check_text
from meshkit_fastprobe.config.places import shown
from meshkit_fastprobe.errors import ConfigError

BACKEND: Final = "proxy"
_KEY: Final = "proxy:"
DIRECTIONS: Final = ("up", "down", "both")


def check_place(kind: str, point: str, proxy: str) -> None:
    """A point or a proxy, by name; of both, the best that there is on a host is hurt."""
    if not point and not proxy:
        raise ConfigError(f"{kind}.proxy", "neither point nor proxy", "name what is meant")
    for key, name in (("point", point), ("proxy", proxy)):
        if name:
            check_text(f"{kind}.{key}", name)


def check_direction(kind: str, direction: str) -> None:
    if direction not in DIRECTIONS:
        raise ConfigError(f"{kind}.direction", f"{shown(direction)} is not known", f"use {', '.join(DIRECTIONS)}")


def way(host: FaultHost, only: str = "") -> Way:
    """only: the protocol that the faults are about."""
    proxies = [_proxy(host, key.removeprefix(_KEY)) for key in tuple(host.offered) if key.startswith(_KEY)]
    fit = sum(1 for one in proxies if one is not None and one.is_open and only in {"", one.protocol})
    if fit:
        return Way(BACKEND, available=True, reason=f"proxies{f' for {only}' if only else ''}: {fit}")
    which = f"there is none for {only}" if only else "there is none"
    return Way(BACKEND, available=False, reason=f"{which}; add [[chaos.proxy]]")


def preflight(host: FaultHost, name: str, only: str = "", among: Iterable[Endpoint] = ()) -> Backing:
    """name: empty when the experiment names none. only: the protocol that the fault is about.

    among: what the proxy has to stand in front of, if anything: it is another way of hurting that, and nobody else. What a
    proxy knows by a name cannot be compared, and is taken to be it.
    """
    if not name:
        return Backing(BACKEND, usable=False, why="the experiment names no proxy")
    proxy = _proxy(host, name)
    if proxy is None:
        return Backing(BACKEND, usable=False, why=f"there is no proxy {name!r}; add [[chaos.proxy]]")
    if only and proxy.protocol != only:
        return Backing(BACKEND, usable=False, why=_not_for(proxy, only))
    if not proxy.is_open:
        return Backing(BACKEND, usable=False, why=_ended(proxy))
    among = tuple(among)
    if among and not behind(proxy, among):
        why = f"the proxy {name!r} is in front of {proxy.settings.upstream}, which is none of the targets"
        return Backing(BACKEND, usable=False, why=why)
    told = f"{proxy.protocol} {proxy.address} in front of {proxy.settings.upstream}, {proxy.counts.connections} clients now"
    return Backing(BACKEND, usable=True, why=told)


def behind(proxy: Proxy, among: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
    """Which of these it stands in front of; it may be all of them when it knows its own by a name."""
    upstream = _upstream(proxy)
    return tuple(one for one in among if upstream is None or one.touches(upstream))


def planned(host: FaultHost, kind: str, name: str, mark: str, only: str = "", among: Iterable[Endpoint] = ()) -> FaultPlan:
    """among: targets that are hurt in this way instead of another, which the plan names as well."""
    proxy = _proxy(host, name)
    if proxy is None:
        raise FaultError(f"there is no proxy {name!r}; add [[chaos.proxy]], and start the host again")
    if only and proxy.protocol != only:
        raise FaultError(_not_for(proxy, only))
    upstream = _upstream(proxy)
    if upstream is not None:  # a name: what it resolves to is for the embedder's proxies to keep apart
        refuse_protected(host, [upstream], broad=True)
    hurt = tuple(map(str, behind(proxy, among)))
    return FaultPlan(
        kind=kind,
        backend=BACKEND,
        mark=mark,
        targets=(f"{name}: {proxy.protocol} {proxy.address} to {proxy.settings.upstream}", *hurt),
        resources=(f"proxy:{name}", *(f"packets:{one}" for one in hurt)),
        handle={"proxy": name},
        manual="end this process: the fault lives in it",
        local=True,
    )


async def put(host: FaultHost, plan: FaultPlan, shape: Shape) -> None:
    proxy = _proxy(host, plan.handle["proxy"])
    if proxy is None:
        raise FaultError(f"the proxy {plan.handle['proxy']!r} is gone")
    if not proxy.is_open:
        raise FaultError(_ended(proxy))
    if proxy.shape is not None:
        raise FaultError(f"a fault of {proxy.shaped_by} passes through it already")
    proxy.counts.touched = 0
    _plans[plan.handle["proxy"]] = plan
    await in_thread(partial(proxy.put, shape, plan.mark))
    if not proxy.is_open:
        raise FaultError(_ended(proxy))


def effect(host: FaultHost, plan: FaultPlan) -> Effect:
    proxy = _proxy(host, plan.handle["proxy"])
    if proxy is None or proxy.shaped_by != plan.mark:
        return Effect(in_force=False, touched=None, told="the proxy does not carry it")
    if not proxy.is_open:
        return Effect(in_force=False, touched=None, told=_ended(proxy))
    counts = proxy.counts
    told = f"{counts.touched} pieces were touched, there are {counts.connections} clients"
    return Effect(in_force=True, touched=counts.touched, told=told)


async def take_off(host: FaultHost, plan: FaultPlan) -> None:
    """Calm when another passes through it, or none."""
    proxy = _proxy(host, plan.handle["proxy"])
    if proxy is not None and proxy.shaped_by == plan.mark:
        await in_thread(partial(proxy.put, None))
        _plans.pop(plan.handle["proxy"], None)


def is_gone(host: FaultHost, plan: FaultPlan) -> bool:
    proxy = _proxy(host, plan.handle["proxy"])
    return proxy is None or not proxy.is_open or proxy.shaped_by != plan.mark


def shaped(host: FaultHost, kind: str) -> tuple[FaultPlan, ...]:
    """The faults of this kind that pass through proxies of this process."""
    return tuple(plan for plan in _plans.values() if plan.kind == kind and not is_gone(host, plan))


_plans: Final[dict[str, FaultPlan]] = {}
"""By the name of the proxy."""


def _not_for(proxy: Proxy, only: str) -> str:
    return f"the proxy {proxy.settings.name!r} is for {proxy.protocol}, and this is a fault of {only}"


def _ended(proxy: Proxy) -> str:
    return f"the proxy {proxy.settings.name!r} has ended, and nothing passes through it; start the host again"


def _upstream(proxy: Proxy) -> Endpoint | None:
    """None: it is a name."""
    with suppress(ConfigError):
        return parse_endpoint("upstream", proxy.settings.upstream)
    return None


def _proxy(host: FaultHost, name: str) -> Proxy | None:
    try:
        proxy = host.service(_KEY + name)
    except KeyError:
        return None
    assert isinstance(proxy, Proxy), f"the service proxy:{name} is a Proxy"
    return proxy
