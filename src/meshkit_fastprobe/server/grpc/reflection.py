"""Server reflection: how clients without our .proto files learn what there is. For whoever may read anything."""

from __future__ import annotations

from typing import Any, Final

from meshkit_fastprobe.access import Permission
from meshkit_fastprobe.server.context import Context
from meshkit_fastprobe.server.grpc.call import Call
from meshkit_fastprobe.server.grpc.messages import files, message_class, pool
from meshkit_fastprobe.server.grpc.method import Method
from meshkit_fastprobe.server.grpc.status import CallError, Code
from meshkit_fastprobe.server.guard import PRINCIPAL

VERSIONS: Final = ("v1", "v1alpha")
IDLE_S: Final = 60.0
"""Between two questions of one stream."""


class Reflection:
    """One version of the service."""

    reads = True

    def __init__(self, version: str, services: tuple[str, ...]) -> None:
        self._package = f"grpc.reflection.{version}"
        self._services = services

    async def answer(self, context: Context, call: Call) -> None:
        context.authorization.over_some(call.scope[PRINCIPAL], Permission.PROBES_READ)
        while (content := await call.read(IDLE_S)) is not None:
            await call.write(self._answer(content))

    def _answer(self, content: bytes) -> bytes:
        from google.protobuf.message import DecodeError

        try:
            request = self._class("Request").FromString(content)
        except DecodeError:
            raise CallError(Code.INVALID_ARGUMENT, "this is no question of reflection") from None
        response = self._class("Response")(valid_host=request.host, original_request=request)
        try:
            self._fill(response, request)
        except KeyError:
            response.error_response.error_code = Code.NOT_FOUND
            response.error_response.error_message = "there is none of this name"
        told: bytes = response.SerializeToString()
        return told

    def _fill(self, response: Any, request: Any) -> None:
        """KeyError for what there is not."""
        kind = request.WhichOneof("message_request")
        match kind:
            case "list_services":
                for name in self._services:
                    response.list_services_response.service.add().name = name
            case "file_by_filename":
                response.file_descriptor_response.file_descriptor_proto.append(files()[request.file_by_filename])
            case "file_containing_symbol":
                name = pool().FindFileContainingSymbol(request.file_containing_symbol).name
                response.file_descriptor_response.file_descriptor_proto.append(files()[name])
            case "all_extension_numbers_of_type":
                name = request.all_extension_numbers_of_type
                pool().FindMessageTypeByName(name)
                response.all_extension_numbers_response.base_type_name = name
            case _:
                raise KeyError(kind)

    def _class(self, which: str) -> Any:
        return message_class(f"{self._package}.ServerReflection{which}")


def methods(services: tuple[str, ...]) -> dict[str, Method]:
    return {path_of(version): Reflection(version, services) for version in VERSIONS}


def path_of(version: str) -> str:
    return f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
