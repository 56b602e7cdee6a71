"""gRPC credentials, channels and server options: mutual TLS with exactly the roots that the other side should have.

grpcio cannot refuse TLS 1.2, but its cipher suites can be limited to ECDHE with AEAD: `gristmill/__init__.py` sets
GRPC_SSL_CIPHER_SUITES, which the library reads when it makes its first credentials.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from gristmill.errors import ConfigurationError, IdentityUnusable
from gristmill.trust.certificates import pem
from gristmill.trust.files import TlsFiles, read_private_file

_PROGRESS_BOUND = (
    ("wfa.measurement.system.v1alpha.ComputationControl", "AdvanceComputation"),
    ("wfa.measurement.api.v2alpha.RequisitionFulfillment", "FulfillRequisition"),
    ("wfa.measurement.internal.testing.ForwardedStorage", "WriteBlob"),
    ("wfa.measurement.internal.testing.ForwardedStorage", "ReadBlob"),
    ("wfa.measurement.system.v1alpha.Computations", "StreamActiveComputations"),
    ("gristmill.kingdom.Measurements", "WatchMeasurement"),
    ("grpc.health.v1.Health", "Watch"),
)
"""Streams: their callers give a deadline that follows progress, and start again themselves."""

_NOT_REPEATED = tuple(
    ("wfa.measurement.system.v1alpha.ComputationParticipants", method)
    for method in ("SetParticipantRequisitionParams", "ConfirmComputationParticipant", "FailComputationParticipant")
)
"""Read-then-write calls with an etag, repeated only by the caller's own loop."""

_KEEPALIVE = (
    # Servers written in Java close a connection that pings more often than every five minutes.
    ("grpc.keepalive_time_ms", 330_000),
    ("grpc.keepalive_timeout_ms", 20_000),
)

_RECONNECT = (
    # Meanwhile every call fails at once. The library's own pauses grow to two minutes: a caller that tries again ever
    # more rarely would miss one connection after the other.
    ("grpc.initial_reconnect_backoff_ms", 250),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)

SERVER_OPTIONS: tuple[tuple[str, int], ...] = (
    *_KEEPALIVE,
    ("grpc.so_reuseport", 0),  # two servers must not share a port by accident
    ("grpc.http2.min_ping_interval_without_data_ms", 60_000),
)


def service_config(timeout_seconds: float = 30) -> str:
    """The default service config: every method's time limit, and repetition while the server is unavailable.

    gRPC's core allows 5 attempts at most, where other implementations allow the 10 that are customary here.
    """
    limit = f"{timeout_seconds:g}s"
    retry = {
        "maxAttempts": 5,
        "initialBackoff": "0.1s",
        "maxBackoff": "1s",
        "backoffMultiplier": 1.5,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    methods = [
        {"name": [{}], "timeout": limit, "retryPolicy": retry},
        {"name": [{"service": service, "method": method} for service, method in _NOT_REPEATED], "timeout": limit},
        {"name": [{"service": service, "method": method} for service, method in _PROGRESS_BOUND]},
    ]
    return json.dumps({"methodConfig": methods})


@dataclass(frozen=True, slots=True)
class Target:
    """Where a server is, and the name that its certificate bears if that is not the host."""

    address: str
    cert_host: str = ""
    timeout_seconds: float = 30

    def options(self) -> list[tuple[str, Any]]:
        config = ("grpc.service_config", service_config(self.timeout_seconds))
        options: list[tuple[str, Any]] = [config, *_KEEPALIVE, *_RECONNECT]
        if self.cert_host:
            options += [("grpc.ssl_target_name_override", self.cert_host), ("grpc.default_authority", self.cert_host)]
        return options


def client_credentials(roots: Iterable[x509.Certificate], identity: TlsFiles | None) -> grpc.ChannelCredentials:
    """Trust these roots only; without an identity no client certificate is presented."""
    key, chain = (None, None) if identity is None else _read_pair(identity)
    return grpc.ssl_channel_credentials(_bundle(roots), key, chain)


def channel(target: Target, credentials: grpc.ChannelCredentials) -> grpc.Channel:
    return grpc.secure_channel(target.address, credentials, target.options())


def aio_channel(target: Target, credentials: grpc.ChannelCredentials) -> grpc.aio.Channel:
    return grpc.aio.secure_channel(target.address, credentials, target.options())


def server_credentials(
    identity: TlsFiles, roots: Iterable[x509.Certificate], *, require_client_certificate: bool = True
) -> grpc.ServerCredentials:
    """Present this identity, and accept clients whose certificates these roots issued.

    A renewed certificate and key are taken up when both files have been replaced; what does not fit together is ignored
    until it does, and the old pair stays in use.
    """
    bundle = _bundle(roots)

    def configuration() -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration([_read_pair(identity)], bundle)

    seen = _stamp(identity)
    initial = configuration()

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal seen
        try:
            stamp = _stamp(identity)
            if stamp == seen:
                return None
            fresh = configuration()
        except (ConfigurationError, OSError):
            return None
        seen = stamp
        return fresh

    # The type stubs do not know that the function may answer None: nothing new.
    return grpc.dynamic_ssl_server_credentials(initial, renewed, require_client_certificate)  # type: ignore[arg-type]


def _bundle(roots: Iterable[x509.Certificate]) -> bytes:
    bundle = pem(roots)
    if not bundle:  # without roots of its own the library would trust the public web's
        raise IdentityUnusable("no root certificate is given for a connection", cure="check --cert-collection-file")
    return bundle


def _stamp(identity: TlsFiles) -> tuple[tuple[int, int], ...]:
    states = [os.stat(path) for path in (identity.certificate_file, identity.key_file)]
    return tuple((state.st_ino, state.st_mtime_ns) for state in states)


def _read_pair(identity: TlsFiles) -> tuple[bytes, bytes]:
    """PEM key and PEM certificate (chain) of the identity, which must belong together."""
    key = read_private_file(identity.key_file, what="the TLS key").expose()
    try:
        chain = identity.certificate_file.read_bytes()
        leaf = x509.load_pem_x509_certificate(chain)
        public_key = load_pem_private_key(key, password=None).public_key()
    except (OSError, ValueError, TypeError):
        raise IdentityUnusable(
            f"{identity.certificate_file} and {identity.key_file} are not a PEM certificate and its PEM key",
            cure="check --tls-cert-file and --tls-key-file",
        ) from None
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if leaf.public_key().public_bytes(*form) != public_key.public_bytes(*form):
        raise IdentityUnusable(
            f"the key {identity.key_file} does not belong to the certificate {identity.certificate_file}",
            cure="give the pair that was issued together",
        )
    return key, chain
