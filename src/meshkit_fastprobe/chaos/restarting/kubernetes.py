"""A pod of Kubernetes: deleted, by its uid and no other, so that its controller makes another."""

from __future__ import annotations

import importlib.util
import os
import ssl
from pathlib import Path
from typing import Any, Final

import msgspec
import trio

from meshkit_fastprobe.chaos.faults.base import Backing, Effect, FaultError, FaultHost, Way
from meshkit_fastprobe.chaos.restarting.base import Restarter
from meshkit_fastprobe.chaos.small_files import read_small_file
from meshkit_fastprobe.errors import MissingExtraError

MOUNTED: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
API: Final = "https://kubernetes.default.svc"
ANSWER_S: Final = 10.0
MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024
MAX_TOKEN_BYTES: Final = 16 * 1024
REVIEWS: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


class PodRestarter(msgspec.Struct, frozen=True):
    """space: the pod's namespace. The token is read anew each time: it is rotated."""

    space: str
    pod: str
    api: str
    token_file: str
    ca_file: str
    ourselves: bool

    @property
    def manual(self) -> str:
        return f"kubectl --namespace {self.space} get pod {self.pod}, and look at what controls it"

    @property
    def _path(self) -> str:
        return f"/api/v1/namespaces/{self.space}/pods/{self.pod}"

    @staticmethod
    def way(host: FaultHost) -> Way:  # noqa: ARG004 - the API is asked once it is known for which pod
        if importlib.util.find_spec("httpx") is None:
            return Way("kubernetes", available=False, reason=str(MissingExtraError("restarting pods", "kubernetes")))
        mounted = (Path(MOUNTED) / "token").is_file()
        why = "a token is mounted" if mounted else "no token is mounted; an experiment may name api, token_file and ca_file"
        return Way("kubernetes", available=mounted, reason=why)

    async def usable(self, host: FaultHost) -> Backing:  # noqa: ARG002 - the API is asked
        asked = {"namespace": self.space, "verb": "delete", "resource": "pods", "name": self.pod}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
        try:
            status, answer = await self._ask("POST", REVIEWS, {**review, "spec": {"resourceAttributes": asked}})
        except (FaultError, MissingExtraError) as error:
            return Backing("kubernetes", usable=False, why=str(error))
        if status != 201 or not _at(answer, "status", "allowed"):
            why = f"this token may not delete pod {self.pod} in {self.space}: give its account the verb delete on pods there"
            return Backing("kubernetes", usable=False, why=why)
        return Backing("kubernetes", usable=True, why=f"this token may delete pod {self.pod} in {self.space}")

    async def identify(self, host: FaultHost) -> dict[str, str]:  # noqa: ARG002 - the API is asked
        if not self.ourselves and self._is_ours():
            raise FaultError(f"pod {self.pod} runs this experiment; write ourselves = true if that is meant")
        status, answer = await self._ask("GET", self._path)
        if status != 200:
            raise FaultError(f"pod {self.pod} in {self.space}: {_said(status, answer)}")
        owners = _at(answer, "metadata", "ownerReferences") or []
        if not any(isinstance(owner, dict) and owner.get("controller") for owner in owners):
            raise FaultError(f"pod {self.pod} has no controller: nothing would make it again")
        return {"uid": str(_at(answer, "metadata", "uid") or "")}

    def _is_ours(self) -> bool:
        try:
            space = (Path(MOUNTED) / "namespace").read_text(encoding="utf-8").strip()
        except OSError:
            return False
        return space == self.space and os.environ.get("HOSTNAME") == self.pod

    async def restart(self, host: FaultHost, was: dict[str, str], grace_s: float) -> None:  # noqa: ARG002 - the pod has its own
        status, answer = await self._ask(
            "DELETE",
            self._path,
            {
                "apiVersion": "v1",
                "kind": "DeleteOptions",
                "preconditions": {"uid": was["uid"]},
            },
        )
        if status == 409:
            raise FaultError(f"pod {self.pod} is another than was planned; plan again")
        if status not in {200, 202, 404}:
            raise FaultError(f"pod {self.pod} in {self.space} was not deleted: {_said(status, answer)}")

    async def seen(self, host: FaultHost, was: dict[str, str]) -> Effect:  # noqa: ARG002 - the API is asked
        status, answer = await self._ask("GET", self._path)
        if status == 404:
            told = f"pod {self.pod} is gone; its controller makes another, by another name"
            return Effect(in_force=True, touched=None, told=told)
        if status != 200:
            raise FaultError(f"pod {self.pod} in {self.space}: {_said(status, answer)}")
        if _at(answer, "metadata", "uid") == was.get("uid"):
            ending = "is ending" if _at(answer, "metadata", "deletionTimestamp") else "was not deleted"
            return Effect(in_force=False, touched=None, told=f"pod {self.pod} {ending}")
        conditions = _at(answer, "status", "conditions") or []
        ready = any(isinstance(one, dict) and one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)
        return Effect(in_force=ready, touched=None, told=f"a new pod {self.pod} is {'' if ready else 'not '}ready")

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, object]:
        """Status and document. FaultError: no answer, or none that is one."""
        try:
            import httpx
        except ImportError as error:
            raise MissingExtraError("restarting pods", "kubernetes") from error
        headers = {"authorization": f"Bearer {self._token()}", "accept": "application/json"}
        content = None if body is None else msgspec.json.encode(body)
        if content is not None:
            headers["content-type"] = "application/json"
        try:
            with trio.fail_after(ANSWER_S):
                async with (
                    httpx.AsyncClient(verify=self._trust(), trust_env=False, timeout=ANSWER_S) as client,
                    client.stream(method, self.api + path, headers=headers, content=content) as answer,
                ):
                    data = bytearray()
                    async for part in answer.aiter_bytes():
                        data += part
                        if len(data) > MAX_ANSWER_BYTES:
                            raise FaultError(f"{self.api} answers with more than {MAX_ANSWER_BYTES} bytes")
            return answer.status_code, msgspec.json.decode(data) if data else None
        except (httpx.HTTPError, trio.TooSlowError) as error:
            raise FaultError(f"{self.api} does not answer: {_cause(error)}") from None
        except msgspec.DecodeError:
            raise FaultError(f"{self.api} answers with what is no JSON") from None

    def _token(self) -> str:
        try:
            token = read_small_file(self.token_file, MAX_TOKEN_BYTES).strip()
        except OSError as error:
            raise FaultError(f"token_file {self.token_file}: {error.strerror}") from None
        if not token or not token.isascii() or any(byte <= 0x20 or byte == 0x7F for byte in token):
            raise FaultError(f"token_file {self.token_file} holds no token")
        return token.decode("ascii")

    def _trust(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise FaultError(f"ca_file {self.ca_file}: {error.strerror or error}") from None


def _at(document: object, *keys: str) -> Any:
    """What stands there in a document that may be anything."""
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _cause(error: BaseException) -> str:
    """What the layers of a client made of it, they say without its words."""
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    return str(error) or type(error).__name__


def _said(status: int, answer: object) -> str:
    message = str(_at(answer, "message") or "")[:200]
    return f"HTTP {status}" + (f", {message}" if message else "")


_: type[Restarter] = PodRestarter
