"""Mutual TLS for real, on loopback: who gets in, and who the server says it was."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio
import pytest
from cryptography import x509

from gristmill.errors import ConfigurationError, PermissionDenied, Refused, Unauthenticated
from gristmill.trust.authority import Root
from gristmill.trust.certificates import Roots, read_certificate, subject_key_identifier
from gristmill.trust.channels import (
    SERVER_OPTIONS,
    Target,
    aio_channel,
    channel,
    client_credentials,
    server_credentials,
)
from gristmill.trust.development import DevelopmentKeys, Party
from gristmill.trust.files import TlsFiles, write_private_file
from gristmill.trust.identity import Parties, duchy_parties, principal_parties, read_duchies

Server = Callable[..., AbstractAsyncContextManager[int]]


class WhoAmI(grpc.GenericRpcHandler):
    """Answers every call with the caller's name, or its refusal."""

    def __init__(self, parties: Parties) -> None:
        self._parties = parties

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        async def answer(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            try:
                return self._parties.caller(context).encode()
            except Refused as error:
                await context.abort(grpc.StatusCode[error.status], error.message)

        return grpc.unary_unary_rpc_method_handler(answer)


@asynccontextmanager
async def serving(
    owner: Party, parties: Parties, roots: Iterable[x509.Certificate] | None = None, *, require: bool = True
) -> AsyncIterator[int]:
    server = grpc.aio.server(options=SERVER_OPTIONS)
    server.add_generic_rpc_handlers((WhoAmI(parties),))
    credentials = server_credentials(
        owner.tls, parties.roots if roots is None else roots, require_client_certificate=require
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield port
    finally:
        await server.stop(0)


async def ask(port: int, roots: Iterable[x509.Certificate], identity: TlsFiles | None, cert_host: str = "") -> str:
    target = Target(f"127.0.0.1:{port}", cert_host)
    async with aio_channel(target, client_credentials(roots, identity)) as connection:
        method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = connection.unary_unary("/test.WhoAmI/Ask")
        return (await method(b"", timeout=5)).decode()


async def refusal(port: int, roots: Iterable[x509.Certificate], identity: TlsFiles | None, cert_host: str = "") -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(port, roots, identity, cert_host)
    return caught.value.code().name


def root_of(party: Party) -> x509.Certificate:
    return read_certificate(party.root_file)


@pytest.fixture
def duchies(keys: DevelopmentKeys) -> Parties:
    return duchy_parties(keys.duchy_cert_config_file, keys.roots())


async def test_a_duchy_is_known_by_its_certificate(keys: DevelopmentKeys, duchies: Parties) -> None:
    worker1, aggregator = keys.duchy("worker1"), keys.duchy("aggregator")
    async with serving(aggregator, duchies) as port:
        assert await ask(port, [root_of(aggregator)], worker1.tls, aggregator.cert_host) == "worker1"
        assert await ask(port, [root_of(aggregator)], keys.duchy("worker2").tls, aggregator.cert_host) == "worker2"


async def test_a_synchronous_channel_gets_in_too(keys: DevelopmentKeys, duchies: Parties) -> None:
    worker1, aggregator = keys.duchy("worker1"), keys.duchy("aggregator")

    def call(port: int) -> bytes:
        credentials = client_credentials([root_of(aggregator)], worker1.tls)
        with channel(Target(f"127.0.0.1:{port}", aggregator.cert_host), credentials) as connection:
            method: grpc.UnaryUnaryMultiCallable[bytes, bytes] = connection.unary_unary("/test.WhoAmI/Ask")
            return method(b"", timeout=5)

    async with serving(aggregator, duchies) as port:
        assert await asyncio.to_thread(call, port) == b"worker1"


async def test_a_data_provider_is_known_as_its_principal(keys: DevelopmentKeys) -> None:
    parties = principal_parties(keys.principal_map_file, keys.roots())
    worker1, provider = keys.duchy("worker1"), keys.data_provider("edp2")
    async with serving(worker1, parties) as port:
        assert await ask(port, [root_of(worker1)], provider.tls) == provider.resource


async def test_a_data_provider_does_not_get_in_at_the_duchies_door(keys: DevelopmentKeys, duchies: Parties) -> None:
    aggregator, provider = keys.duchy("aggregator"), keys.data_provider("edp1")
    async with serving(aggregator, duchies) as port:
        assert await refusal(port, [root_of(aggregator)], provider.tls) == "UNAVAILABLE"  # by TLS


async def test_a_trusted_root_of_no_party_here_is_unauthenticated(keys: DevelopmentKeys, duchies: Parties) -> None:
    aggregator, provider = keys.duchy("aggregator"), keys.data_provider("edp1")
    async with serving(aggregator, duchies, keys.roots()) as port:
        assert await refusal(port, [root_of(aggregator)], provider.tls) == "UNAUTHENTICATED"


async def test_a_server_with_another_root_is_not_trusted(keys: DevelopmentKeys, duchies: Parties) -> None:
    worker1, aggregator = keys.duchy("worker1"), keys.duchy("aggregator")
    async with serving(aggregator, duchies) as port:
        assert await refusal(port, [root_of(keys.duchy("worker2"))], worker1.tls) == "UNAVAILABLE"


async def test_a_server_with_another_name_is_not_trusted(keys: DevelopmentKeys, duchies: Parties) -> None:
    worker1, aggregator = keys.duchy("worker1"), keys.duchy("aggregator")
    async with serving(aggregator, duchies) as port:
        assert await refusal(port, [root_of(aggregator)], worker1.tls, worker1.cert_host) == "UNAVAILABLE"


async def test_a_client_without_a_certificate_does_not_get_in(keys: DevelopmentKeys, duchies: Parties) -> None:
    aggregator = keys.duchy("aggregator")
    async with serving(aggregator, duchies) as port:
        assert await refusal(port, [root_of(aggregator)], None) == "UNAVAILABLE"
    async with serving(aggregator, duchies, require=False) as port:
        assert await refusal(port, [root_of(aggregator)], None) == "UNAUTHENTICATED"


async def test_a_client_that_presents_a_chain_is_unauthenticated(
    keys: DevelopmentKeys, duchies: Parties, tmp_path: Path
) -> None:
    worker1, aggregator = keys.duchy("worker1"), keys.duchy("aggregator")
    chain = tmp_path / "chain.pem"
    chain.write_bytes(worker1.tls.certificate_file.read_bytes() + worker1.root_file.read_bytes())
    identity = TlsFiles(chain, worker1.tls.key_file, worker1.tls.collection_file)
    async with serving(aggregator, duchies) as port:
        assert await refusal(port, [root_of(aggregator)], identity) == "UNAUTHENTICATED"


async def test_a_call_without_tls_is_permission_denied(duchies: Parties) -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((WhoAmI(duchies),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as connection:
        method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = connection.unary_unary("/test.WhoAmI/Ask")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await method(b"", timeout=5)
    await server.stop(0)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_renewed_server_certificate_is_taken_up(
    keys: DevelopmentKeys, duchies: Parties, tmp_path: Path
) -> None:
    worker1, aggregator = keys.duchy("worker1"), keys.duchy("aggregator")
    identity = TlsFiles(tmp_path / "tls.pem", tmp_path / "tls.key", aggregator.tls.collection_file)
    shutil.copy(aggregator.tls.certificate_file, identity.certificate_file)
    shutil.copy(aggregator.tls.key_file, identity.key_file)
    server = grpc.aio.server(options=SERVER_OPTIONS)
    server.add_generic_rpc_handlers((WhoAmI(duchies),))
    port = server.add_secure_port("127.0.0.1:0", server_credentials(identity, duchies.roots))
    await server.start()
    try:
        root = Root.create("aggregator")
        assert await ask(port, [root_of(aggregator)], worker1.tls) == "worker1"
        leaf = root.issue_tls("aggregator", ["localhost"])
        identity.certificate_file.write_bytes(leaf.certificate_pem)  # not yet its key: the old pair stays in use
        assert await ask(port, [root_of(aggregator)], worker1.tls) == "worker1"
        identity.key_file.unlink()
        write_private_file(identity.key_file, leaf.key_pem.expose())
        assert await ask(port, [root.certificate], worker1.tls) == "worker1"
    finally:
        await server.stop(0)


def test_a_foreign_identifier_in_a_leaf_does_not_make_a_party(keys: DevelopmentKeys, duchies: Parties) -> None:
    """Another authority names worker1's key identifier in its leaf: comparing identifiers would fall for it."""
    evil = Root.create("worker1")  # worker1's names, another key
    victim = subject_key_identifier(root_of(keys.duchy("worker1"))) or b""
    der = bytearray(evil.issue_tls("worker1", ["localhost"]).certificate_der)
    own = subject_key_identifier(evil.certificate) or b""
    position = bytes(der).index(own)
    der[position : position + 20] = victim
    forged = x509.load_der_x509_certificate(bytes(der))
    assert forged.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == victim
    with pytest.raises(Unauthenticated, match="not issued by its owner's root"):
        duchies.owner(forged)


def test_a_leaf_of_an_unknown_authority_is_unauthenticated(duchies: Parties) -> None:
    with pytest.raises(Unauthenticated, match="is no party here"):
        duchies.owner(Root.create("nobody").issue_tls("nobody", []).certificate)


def test_a_plain_connection_has_no_caller(duchies: Parties) -> None:
    class Plain:
        def auth_context(self) -> dict[str, list[bytes]]:
            return {}

    with pytest.raises(PermissionDenied):
        duchies.caller(Plain())


def test_the_roots_of_one_kind_of_party_are_found_by_its_names(keys: DevelopmentKeys) -> None:
    parties = principal_parties(keys.principal_map_file, keys.roots())
    consumer = keys.measurement_consumer
    assert parties.roots_of("measurementConsumers/") == {consumer.resource: root_of(consumer)}
    assert list(parties.roots_of("dataProviders/")) == [provider.resource for provider in keys.data_providers]


def test_two_parties_with_one_root_are_refused(keys: DevelopmentKeys) -> None:
    identifier = subject_key_identifier(root_of(keys.duchy("worker1"))) or b""
    with pytest.raises(ConfigurationError, match="worker1 and worker2 are configured with the same root"):
        Parties([("worker1", identifier), ("worker2", identifier)], keys.roots())


def test_a_duchy_whose_root_is_not_in_the_bundle_is_named(keys: DevelopmentKeys) -> None:
    roots = Roots([root_of(keys.duchy("worker1")), root_of(keys.duchy("worker2"))], allow_development=True)
    with pytest.raises(ConfigurationError, match="of duchy aggregator"):
        read_duchies(keys.duchy_cert_config_file, roots)


def test_the_duchy_info_file_tells_hosts_and_roots(keys: DevelopmentKeys) -> None:
    duchies = read_duchies(keys.duchy_cert_config_file, keys.roots())
    assert list(duchies) == ["worker1", "worker2", "aggregator"]
    assert duchies["worker2"].cert_host == keys.duchy("worker2").cert_host
    assert duchies["worker2"].root == root_of(keys.duchy("worker2"))


@pytest.mark.parametrize("content", ["", "duchies {", "duchies { duchy_id: '' }", "nonsense: 1"])
def test_a_bad_duchy_info_file_is_named(keys: DevelopmentKeys, tmp_path: Path, content: str) -> None:
    path = tmp_path / "duchy_cert_config.textproto"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match="duchy_cert_config"):
        read_duchies(path, keys.roots())


def test_a_key_of_another_certificate_is_refused(keys: DevelopmentKeys) -> None:
    one, other = keys.duchy("worker1").tls, keys.duchy("worker2").tls
    mixed = TlsFiles(one.certificate_file, other.key_file, one.collection_file)
    with pytest.raises(ConfigurationError, match="does not belong to the certificate"):
        client_credentials(keys.roots(), mixed)


def test_no_roots_never_means_the_public_webs_roots() -> None:
    with pytest.raises(ConfigurationError, match="no root certificate"):
        client_credentials([], None)


async def test_calls_have_a_time_limit_but_streams_that_follow_progress_have_none(keys: DevelopmentKeys) -> None:
    class Slow(grpc.GenericRpcHandler):
        def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
            async def answer(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
                await asyncio.sleep(0.5)
                return b"done"

            return grpc.unary_unary_rpc_method_handler(answer)

    worker1 = keys.duchy("worker1")
    server = grpc.aio.server(options=SERVER_OPTIONS)
    server.add_generic_rpc_handlers((Slow(),))
    port = server.add_secure_port("127.0.0.1:0", server_credentials(worker1.tls, keys.roots()))
    await server.start()
    target = Target(f"127.0.0.1:{port}", timeout_seconds=0.2)
    control = "/wfa.measurement.system.v1alpha.ComputationControl/"
    async with aio_channel(target, client_credentials(keys.roots(), worker1.tls)) as connection:
        unary: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = connection.unary_unary(control + "GetComputationStage")
        stream: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = connection.unary_unary(control + "AdvanceComputation")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await unary(b"")
        assert await stream(b"", timeout=5) == b"done"
    await server.stop(0)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


CIPHER_SERVER = """
import sys, time
import grpc  # first, as a careless embedder would
from concurrent import futures
from pathlib import Path
from gristmill.trust.certificates import Roots
from gristmill.trust.channels import server_credentials
from gristmill.trust.files import TlsFiles
certificate, key, collection = map(Path, sys.argv[1:])
server = grpc.server(futures.ThreadPoolExecutor(1))
credentials = server_credentials(TlsFiles(certificate, key, collection), Roots.read(collection, allow_development=True))
print(server.add_secure_port("127.0.0.1:0", credentials), flush=True)
server.start()
time.sleep(60)
"""


def test_tls_has_forward_secrecy_and_authenticated_ciphers_only(keys: DevelopmentKeys) -> None:
    tls = keys.duchy("worker1").tls
    environment = {name: value for name, value in os.environ.items() if name != "GRPC_SSL_CIPHER_SUITES"}
    process = subprocess.Popen(
        [sys.executable, "-c", CIPHER_SERVER, tls.certificate_file, tls.key_file, tls.collection_file],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment,
    )  # fmt: skip
    with process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())

            def handshake(version: ssl.TLSVersion, ciphers: str = "") -> str | None:
                context = ssl.create_default_context(cafile=str(tls.collection_file))
                context.load_cert_chain(tls.certificate_file, tls.key_file)
                context.minimum_version = context.maximum_version = version
                context.set_alpn_protocols(["h2"])
                if ciphers:
                    context.set_ciphers(ciphers)
                try:
                    with (
                        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
                        context.wrap_socket(plain, server_hostname="localhost") as connection,
                    ):
                        return connection.version()
                except OSError:
                    return None

            assert handshake(ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
            assert handshake(ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-GCM-SHA256") == "TLSv1.2"
            assert handshake(ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA") is None
        finally:
            process.kill()
