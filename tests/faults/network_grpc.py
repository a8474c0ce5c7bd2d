"""A gRPC server in front of another: passes every call on as bytes, except where a test gives it a status."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc


@dataclass
class Front:
    """The server's address, the calls that it saw, and the statuses that the next ones get.

    `silent` calls are never answered.
    """

    endpoint: str = ""
    seen: list[str] = field(default_factory=list)
    statuses: list[grpc.StatusCode] = field(default_factory=list)
    silent: int = 0
    over: threading.Event = field(default_factory=threading.Event)


class _PassThrough(grpc.GenericRpcHandler):
    def __init__(self, front: Front, channel: grpc.Channel) -> None:
        self.front, self.channel = front, channel

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        def call(request: bytes, context: grpc.ServicerContext) -> bytes:
            self.front.seen.append(details.method.rpartition("/")[2])
            if self.front.silent:
                self.front.silent -= 1
                self.front.over.wait()
            if self.front.statuses:
                context.abort(self.front.statuses.pop(0), "made by the test")
            try:
                answer: bytes = self.channel.unary_unary(details.method)(request, timeout=10)
            except grpc.RpcError as error:
                context.abort(error.code(), error.details())
            return answer

        return grpc.unary_unary_rpc_method_handler(call)


@contextmanager
def front_of(target: str) -> Iterator[Front]:
    """Serve in front of `target` (host:port)."""
    front = Front()
    with grpc.insecure_channel(target) as channel:
        server = grpc.server(ThreadPoolExecutor(8))
        server.add_generic_rpc_handlers((_PassThrough(front, channel),))
        front.endpoint = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        try:
            yield front
        finally:
            front.over.set()
            server.stop(None).wait()
