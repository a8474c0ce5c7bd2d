"""A local Secret Manager over gRPC on Google's own protos: `secret_manager_server.py FILE PORT [HOST]`.

Secrets live in one file, readable by its owner only. A secret labelled `access=denied` exists, and its
versions answer PERMISSION_DENIED, so that denied and missing can be told apart as on Google's server.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from google.cloud.secretmanager_v1.types import resources, service
from google.protobuf import empty_pb2

SERVICE = "google.cloud.secretmanager.v1.SecretManagerService"


class Vault:
    """Secrets by name (`projects/P/secrets/S`), each with labels and base64 versions, kept in a file."""

    def __init__(self, file: Path) -> None:
        self.file, self.lock = file, threading.Lock()
        self.secrets: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}

    def save(self) -> None:
        """Write the file whole, then rename it into place."""
        fresh = self.file.with_suffix(".new")
        with open(os.open(fresh, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as stream:
            json.dump(self.secrets, stream)
        fresh.rename(self.file)

    def find(self, name: str, context: grpc.ServicerContext) -> dict[str, Any]:
        """Return a secret's record, or end the call with NOT_FOUND."""
        if name not in self.secrets:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Secret [{name}] not found.")
        record: dict[str, Any] = self.secrets[name]
        return record

    def create(self, request: Any, context: grpc.ServicerContext) -> Any:
        """CreateSecret."""
        name = f"{request.parent}/secrets/{request.secret_id}"
        if name in self.secrets:
            context.abort(grpc.StatusCode.ALREADY_EXISTS, f"Secret [{name}] already exists.")
        self.secrets[name] = {"labels": dict(request.secret.labels), "versions": []}
        self.save()
        return resources.Secret(name=name, labels=request.secret.labels)

    def add(self, request: Any, context: grpc.ServicerContext) -> Any:
        """AddSecretVersion."""
        versions = self.find(request.parent, context)["versions"]
        versions.append(base64.b64encode(request.payload.data).decode())
        self.save()
        return resources.SecretVersion(name=f"{request.parent}/versions/{len(versions)}")

    def access(self, request: Any, context: grpc.ServicerContext) -> Any:
        """AccessSecretVersion."""
        name, _, version = request.name.partition("/versions/")
        record = self.find(name, context)
        if record["labels"].get("access") == "denied":
            context.abort(
                grpc.StatusCode.PERMISSION_DENIED,
                f"Permission 'secretmanager.versions.access' denied for resource '{request.name}'.",
            )
        if version != "latest" and not version.isdecimal():
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"{request.name!r} names no version.")
        number = len(record["versions"]) if version == "latest" else int(version)
        if not 1 <= number <= len(record["versions"]):
            context.abort(grpc.StatusCode.NOT_FOUND, f"Secret Version [{request.name}] not found.")
        data = base64.b64decode(record["versions"][number - 1])
        return service.AccessSecretVersionResponse(
            name=f"{name}/versions/{number}", payload=resources.SecretPayload(data=data)
        )

    def get(self, request: Any, context: grpc.ServicerContext) -> Any:
        """GetSecret."""
        return resources.Secret(name=request.name, labels=self.find(request.name, context)["labels"])

    def update(self, request: Any, context: grpc.ServicerContext) -> Any:
        """UpdateSecret: labels only."""
        self.find(request.secret.name, context)["labels"] = dict(request.secret.labels)
        self.save()
        return request.secret

    def list(self, request: Any, _: grpc.ServicerContext) -> Any:
        """ListSecrets."""
        names = sorted(name for name in self.secrets if name.startswith(f"{request.parent}/secrets/"))
        return service.ListSecretsResponse(secrets=[resources.Secret(name=name) for name in names])

    def delete(self, request: Any, context: grpc.ServicerContext) -> Any:
        """DeleteSecret."""
        self.find(request.name, context)
        del self.secrets[request.name]
        self.save()
        return empty_pb2.Empty()


def serve(vault: Vault, port: int, host: str = "127.0.0.1") -> grpc.Server:
    """Start serving a vault; raises OSError when the port is taken."""

    def method(call: Callable[[Any, Any], Any], request_type: Any) -> grpc.RpcMethodHandler:
        def locked(request: Any, context: grpc.ServicerContext) -> Any:
            with vault.lock:
                return call(request, context)

        def encode(message: Any) -> bytes:
            return bytes(
                message.SerializeToString()
                if hasattr(message, "SerializeToString")
                else type(message).serialize(message)
            )

        return grpc.unary_unary_rpc_method_handler(locked, request_type.deserialize, encode)

    handlers = {
        "CreateSecret": method(vault.create, service.CreateSecretRequest),
        "AddSecretVersion": method(vault.add, service.AddSecretVersionRequest),
        "AccessSecretVersion": method(vault.access, service.AccessSecretVersionRequest),
        "GetSecret": method(vault.get, service.GetSecretRequest),
        "UpdateSecret": method(vault.update, service.UpdateSecretRequest),
        "ListSecrets": method(vault.list, service.ListSecretsRequest),
        "DeleteSecret": method(vault.delete, service.DeleteSecretRequest),
    }
    # Without this option a second server would share the port, and get half of the calls.
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    try:
        server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        raise OSError(f"port {port} is taken") from error
    server.start()
    return server


def main(file: str, port: int, host: str = "127.0.0.1") -> None:
    """Serve until terminated."""
    server = serve(Vault(Path(file)), port, host)
    signal.signal(signal.SIGTERM, lambda *_: server.stop(1))
    server.wait_for_termination()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
