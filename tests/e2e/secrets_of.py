"""Every secret of a consortium whose measurement a test made, and the shapes in which a secret may slip out."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

from gristmill import _native as native
from gristmill.consortium.consortium import Consortium
from gristmill.trust.certificates import read_certificate
from gristmill.trust.channels import Target, channel, client_credentials
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken
from wfa.measurement.internal.duchy.computations_service_pb2 import GetComputationTokenRequest
from wfa.measurement.internal.duchy.computations_service_pb2_grpc import ComputationsStub


def key_files(directory: Path) -> Iterator[bytes]:
    """The secret numbers of all private keys and keysets that `gristmill keys` made."""
    public = b"".join(path.read_bytes() for path in directory.glob("*_enc_public.tink"))
    for path in directory.iterdir():
        content = path.read_bytes()
        if path.name.endswith(("tls.key", "cs_private.der")):
            load = load_der_private_key if path.suffix == ".der" else load_pem_private_key
            key = load(content, password=None)
            assert isinstance(key, EllipticCurvePrivateKey)
            yield key.private_numbers().private_value.to_bytes(32, "big")
        elif path.name.endswith(("kek.tink", "enc_private.tink")):
            keys = (leaf for leaf in leaves(content) if 16 <= len(leaf) <= 32 and not leaf.isascii())
            yield from (key for key in keys if key not in public)


def leaves(message: bytes) -> Iterator[bytes]:
    """The length-delimited fields of a serialized message that are no messages themselves."""
    fields = list(_fields(message))
    if not fields and message:
        yield message
    for field in fields:
        yield from leaves(field)


def _fields(message: bytes) -> Iterator[bytes]:
    found, position = [], 0
    while position < len(message):
        tag, position = message[position], position + 1
        if tag >> 3 == 0 or tag & 7 not in (0, 2) or tag >= 0x80 or position >= len(message):
            return
        value = shift = 0
        while True:
            if position >= len(message):
                return
            byte, position = message[position], position + 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        if tag & 7 == 2:
            if position + value > len(message):
                return
            found.append(message[position : position + value])
            position += value
    yield from found


def el_gamal_keys(consortium: Consortium, computation: str) -> Iterator[bytes]:
    """The duchies' secret shares, as their own internal APIs tell their own mills."""
    for duchy in consortium.keys.duchies:
        details = token(consortium, duchy.name, computation).computation_details
        yield details.liquid_legions_v2.local_elgamal_key.secret_key


def token(consortium: Consortium, duchy: str, computation: str) -> ComputationToken:
    """What the duchy's own internal API tells its mills, secrets included."""
    party = consortium.keys.duchy(duchy)
    credentials = client_credentials([read_certificate(party.root_file)], party.tls)
    port = consortium.wiring.ports[duchy].internal_api
    with channel(Target(f"127.0.0.1:{port}", party.cert_host), credentials) as connection:
        request = GetComputationTokenRequest(global_computation_id=computation)
        return ComputationsStub(connection).GetComputationToken(request).token


def registers(vids: list[int]) -> Iterator[bytes]:
    """The points that a sketch's indices and keys are before they are encrypted."""
    for index, key, _ in native.build_sketch(vids, decay_rate=12.0, size=100_000, sampling_indicator_size=10**7):
        yield native.hash_to_curve(str(index).encode())
        if key:
            yield native.hash_to_curve(str(key).encode())


def shapes(secret: bytes) -> Iterable[bytes]:
    """A secret as raw bytes, hex, base64, a decimal number and a Python literal."""
    number = int.from_bytes(secret, "big")
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(secret).rstrip(b"=")
    yield str(number).encode()
    yield repr(secret)[2:-1].encode()
