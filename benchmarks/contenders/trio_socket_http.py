"""Raw trio sockets: connect, send a request made beforehand, read until the body is whole, look at the status, no more."""

from typing import Any

import trio

from benchmarks.shared.checks import addresses
from benchmarks.shared.trio_workers import pace_with_trio

BODY_END = b"\r\n\r\nok"


def run(workload: dict[str, Any]) -> dict[str, Any]:
    hosts, port = addresses(workload), workload["port"]
    requests = [f"GET /healthz HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: */*\r\n\r\n".encode() for host in hosts]
    kept: dict[int, trio.socket.SocketType] = {}

    async def ask(sock: trio.socket.SocketType, target: int) -> bool:
        await sock.send(requests[target])
        answer = b""
        while not answer.endswith(BODY_END):
            piece = await sock.recv(4096)
            if not piece:
                return False
            answer += piece
        return answer.startswith(b"HTTP/1.1 200")

    async def check_anew(target: int) -> bool:
        with trio.socket.socket() as sock:
            await sock.connect((hosts[target], port))
            return await ask(sock, target)

    async def check_kept(target: int) -> bool:
        sock = kept.get(target)
        if sock is None:
            sock = trio.socket.socket()
            await sock.connect((hosts[target], port))
            kept[target] = sock
        return await ask(sock, target)

    async def pace() -> dict[str, Any]:
        try:
            return await pace_with_trio(workload, check_kept if workload["keep_alive"] else check_anew)
        finally:
            for sock in kept.values():
                sock.close()

    return trio.run(pace)
