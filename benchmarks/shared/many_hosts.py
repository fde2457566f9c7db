"""Many hosts in one process: as many Diagnostics, each with probes and endpoints of its own on a loopback port.

A program: `python -m benchmarks.shared.many_hosts DIRECTORY HOSTS PROBES` writes their URLs, one a line, and then a blank line;
it ends when its input does. One token opens all of them: it lies in DIRECTORY/token. The last of them tells of the others.
"""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import trio

import meshkit_fastprobe as fp
from meshkit_fastprobe.access import Binding, SecuritySettings, TokenSettings
from meshkit_fastprobe.config.shapes import MAX_PEERS

ISSUER, AUDIENCE, ASKER = "https://issuer.test", "fastprobe", "asker"
TAGS = ("orders", "billing", "search", "edge")


@contextmanager
def many_hosts(directory: Path, hosts: int, probes: int) -> Iterator[list[str]]:
    """URLs of hosts that run in a process of their own."""
    command = [sys.executable, "-m", "benchmarks.shared.many_hosts", str(directory), str(hosts), str(probes)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        urls = []
        while line := process.stdout.readline().strip():
            urls.append(line)
        try:
            assert len(urls) == hosts, "the hosts did not start"
            yield urls
        finally:
            process.stdin.close()
            process.wait(60)


def one_issuer(directory: Path) -> SecuritySettings:
    """For all hosts: its token in DIRECTORY/token, its key in DIRECTORY/key.pem, the public half in DIRECTORY/jwks.json."""
    from meshkit_fastprobe.security import issuing

    key, keys, token = directory / "key.pem", directory / "jwks.json", directory / "token"
    issuing.new_key(key, keys)
    token.write_text(
        issuing.issue(
            issuing.read_key(key),
            issuer=ISSUER,
            audience=AUDIENCE,
            subject=ASKER,
            groups=(),
            groups_claim="groups",
            lifetime_s=86_400.0,
            now_s=time.time(),
        )
    )
    token.chmod(0o600)
    return SecuritySettings(
        tokens=TokenSettings(jwks_file=str(keys), issuer=ISSUER, audience=AUDIENCE),
        bindings=(Binding(f"user:{ASKER}", "admin"),),
    )


def _host(
    number: int, probes: int, directory: Path, security: SecuritySettings, up: str, peers: tuple[str, ...]
) -> fp.Diagnostics:
    """Ten probes in a hundred look at a port where nobody listens."""
    settings = fp.Settings(
        host=f"cp-{number:03}",
        cluster=f"eu-{number % 4 + 1}",
        state_dir=str(directory / f"cp-{number:03}"),
        server=fp.ServerSettings(listen="127.0.0.1:0", peers=peers),
        security=security,
        max_probes=probes,
        max_connections=64,
        first_run_window_s=2.0,
    )
    diag = fp.Diagnostics(settings)
    for at in range(probes):
        target = "127.0.0.1:1" if at % 10 == 0 else up
        diag.add(fp.TcpProbe(target), name=f"p{at:05}", interval="30s", timeout="1s", namespace=TAGS[at % len(TAGS)])
    return diag


async def _serve(directory: Path, hosts: int, probes: int) -> None:
    async def answer(stream: trio.SocketStream) -> None:
        await stream.aclose()

    async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
        listener = (await nursery.start(trio.serve_tcp, answer, 0))[0]
        up = f"127.0.0.1:{listener.socket.getsockname()[1]}"
        security = one_issuer(directory)
        urls: list[str] = []
        for number in range(hosts):
            peers = tuple(urls[-MAX_PEERS:]) if number == hosts - 1 else ()
            diag = await stack.enter_async_context(_host(number, probes, directory, security, up, peers))
            urls.append(f"http://{diag.address}")
            sys.stdout.write(f"{urls[-1]}\n")
        sys.stdout.write("\n")
        sys.stdout.flush()
        await trio.lowlevel.wait_readable(0)
        assert os.read(0, 1) == b"", "nothing is ever written here"
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("hosts", type=int)
    parser.add_argument("probes", type=int)
    asked = parser.parse_args()
    logging.getLogger("meshkit_fastprobe").setLevel(logging.CRITICAL)  # a hundred hosts tell of each probe that goes down
    trio.run(_serve, asked.directory, asked.hosts, asked.probes)
