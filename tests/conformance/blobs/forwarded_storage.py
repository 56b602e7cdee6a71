# ruff: noqa: N802
"""A ForwardedStorage server in memory, written from the wire contract."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc

from wfa.measurement.internal.testing import forwarded_storage_service_pb2 as pb
from wfa.measurement.internal.testing import forwarded_storage_service_pb2_grpc as pb_grpc


class StorageServer(pb_grpc.ForwardedStorageServicer):
    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.messages: list[str | int] = []

    def WriteBlob(
        self, request_iterator: Iterator[pb.WriteBlobRequest], context: grpc.ServicerContext
    ) -> pb.BlobMetadata:
        key, content = "", b""
        for request in request_iterator:
            if request.HasField("header"):
                key = request.header.blob_key
                self.messages.append("header")
            else:
                content += request.body_chunk.content
                self.messages.append(len(request.body_chunk.content))
        if not key:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no header")
        self.blobs[key] = content
        return self._metadata(key)

    def GetBlobMetadata(self, request: pb.GetBlobMetadataRequest, context: grpc.ServicerContext) -> pb.BlobMetadata:
        if request.blob_key not in self.blobs:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such blob")
        return self._metadata(request.blob_key)

    def ReadBlob(self, request: pb.ReadBlobRequest, context: grpc.ServicerContext) -> Iterator[pb.ReadBlobResponse]:
        content = self.blobs.get(request.blob_key)
        if content is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such blob")
        for start in range(0, len(content), 32768):
            yield pb.ReadBlobResponse(chunk=content[start : start + 32768])

    def DeleteBlob(self, request: pb.DeleteBlobRequest, context: grpc.ServicerContext) -> pb.DeleteBlobResponse:
        if self.blobs.pop(request.blob_key, None) is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such blob")
        return pb.DeleteBlobResponse()

    def ListBlobMetadata(
        self, request: pb.ListBlobMetadataRequest, context: grpc.ServicerContext
    ) -> pb.ListBlobMetadataResponse:
        keys = [key for key in self.blobs if key.startswith(request.prefix)]
        return pb.ListBlobMetadataResponse(blob_metadata=[self._metadata(key) for key in keys])

    def _metadata(self, key: str) -> pb.BlobMetadata:
        return pb.BlobMetadata(blob_key=key, size=len(self.blobs[key]))


@contextmanager
def serve() -> Iterator[tuple[StorageServer, grpc.Channel]]:
    storage = StorageServer()
    server = grpc.server(ThreadPoolExecutor(4))
    pb_grpc.add_ForwardedStorageServicer_to_server(storage, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield storage, channel
    finally:
        server.stop(None)
