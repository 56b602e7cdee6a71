# ruff: noqa: N802
"""Three duchies with plain-wire internal APIs and control servers, in which only the mills are ours.

The control server follows the description of the existing one: a message is taken only in the stage that waits for it;
when every output of that stage has its path, the computation enters the next stage, with those paths as its inputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import text_format

from mill import pki, wires
from mill.conftest import DUCHIES, World
from mill.stand_ins import InternalApi, Journal, Kingdom, Leases
from mill.wires import Wire
from wfa.measurement.api.v2alpha import certificates_service_pb2_grpc as certificates_grpc
from wfa.measurement.config.duchy_cert_config_pb2 import DuchyCertConfig
from wfa.measurement.internal.duchy import computations_service_pb2_grpc as internal_grpc
from wfa.measurement.internal.duchy.computation_blob_dependency_pb2 import INPUT, OUTPUT
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationStageBlobMetadata
from wfa.measurement.system.v1alpha import computation_control_service_pb2 as control_pb
from wfa.measurement.system.v1alpha import computation_control_service_pb2_grpc as control_grpc
from wfa.measurement.system.v1alpha import computation_participants_service_pb2_grpc as participants_grpc
from wfa.measurement.system.v1alpha import computations_service_pb2_grpc as computations_grpc


class Control(control_grpc.ComputationControlServicer):
    def __init__(self, internal: InternalApi, blobs: Path) -> None:
        self.internal, self.blobs = internal, blobs

    def GetComputationStage(self, request: Any, context: grpc.ServicerContext) -> Any:
        token = self.internal.tokens[request.name.split("/")[1]]
        wire = wires.of(token)
        return wire.system_stage(request.name, wire.stage_of(token))

    def AdvanceComputation(self, request_iterator: Iterator[Any], context: grpc.ServicerContext) -> Any:
        sender = dict(context.invocation_metadata())["duchy-identity"]
        messages = list(request_iterator)
        header, body = messages[0].header, b"".join(message.body_chunk.partial_data for message in messages[1:])
        with self.internal.lock:
            token = self.internal.tokens[header.name.removeprefix("computations/")]
            wire = wires.of(token)
            number = wire.stage_of(token)
            if number != wire.waits[getattr(header, wire.member).description]:
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"the computation is in stage {number}")
            outputs = [blob for blob in token.blobs if blob.dependency_type == OUTPUT]
            blob = outputs[DUCHIES.index(sender) if number == wire.gathers else 0]
            blob.path = f"received/{number}/{blob.blob_id}"
            path = self.blobs / "computations" / blob.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
            if all(each.path for each in outputs):
                inputs = [each.path for each in outputs]
                del token.blobs[:]
                for blob_id, each in enumerate(inputs):
                    token.blobs.add(blob_id=blob_id, dependency_type=INPUT, path=each)
                if wire.lists_outputs:
                    token.blobs.append(ComputationStageBlobMetadata(blob_id=len(inputs), dependency_type=OUTPUT))
                token.computation_stage.CopyFrom(wire.stage(wire.after_wait.get(number, number + 1)))
                token.attempt = 0
                self.internal.add(token, queued=True)
        return control_pb.AdvanceComputationResponse()


@contextmanager
def plain_ring(
    directory: Path,
    identities: dict[str, pki.Identity],
    wire: Wire,
    certificates: certificates_grpc.CertificatesServicer | None = None,
) -> Iterator[dict[str, World]]:
    """A World a duchy; they share the kingdom, whose public API has `certificates`."""
    bundle = b"".join(each.root_pem for each in identities.values())
    info = DuchyCertConfig()
    for name in DUCHIES:
        info.duchies.add(
            duchy_id=name,
            computation_control_service_cert_host="localhost",
            root_certificate_skid=identities[name].skid,
        )
    servers: list[grpc.Server] = []

    def serve(owner: str) -> tuple[grpc.Server, int]:
        server = grpc.server(ThreadPoolExecutor(4))
        pair = (identities[owner].tls_key.read_bytes(), identities[owner].tls_cert.read_bytes())
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair], bundle, True))
        servers.append(server)
        return server, port

    journal = Journal()
    kingdom = Kingdom(journal)
    system, kingdom_port = serve("kingdom")
    computations_grpc.add_ComputationsServicer_to_server(kingdom, system)
    participants_grpc.add_ComputationParticipantsServicer_to_server(kingdom, system)
    if certificates is not None:
        certificates_grpc.add_CertificatesServicer_to_server(certificates, system)
    worlds, control_ports = {}, {}
    for name in DUCHIES:
        place = directory / name
        place.mkdir()
        (place / "all_root_certs.pem").write_bytes(bundle)
        (place / "duchy_cert_config.textproto").write_text(text_format.MessageToString(info))
        own = Journal()
        internal = InternalApi(own)
        server, port = serve(name)
        internal_grpc.add_ComputationsServicer_to_server(internal, server)
        control, control_ports[name] = serve(name)
        control_grpc.add_ComputationControlServicer_to_server(Control(internal, place / "blobs"), control)
        ports = {"internal": port, "kingdom": kingdom_port}
        worlds[name] = World(place, identities, own, internal, kingdom, {}, ports, name, Leases(own, internal), wire)
    for world in worlds.values():
        world.ports |= control_ports
    for server in servers:
        server.start()
    try:
        yield worlds
    finally:
        for event in [server.stop(0) for server in servers]:
            event.wait()
