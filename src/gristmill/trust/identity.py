"""Who is calling: the party whose root key issued the client's certificate (LLv2 wire, "Authentication and identity").

The certificate's authority key identifier only says which root to try. A party is believed when that root's key
verifies the certificate, so that another trusted authority cannot put a foreign identifier into its own leaves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from cryptography import x509
from google.protobuf import text_format
from google.protobuf.message import Message

from gristmill.errors import FileUnusable, IdentityUnusable, ParticipationInvalid, PermissionDenied, Unauthenticated
from gristmill.trust.certificates import Roots, authority_key_identifier, verify_leaf
from wfa.measurement.config.authority_key_to_principal_map_pb2 import AuthorityKeyToPrincipalMap
from wfa.measurement.config.duchy_cert_config_pb2 import DuchyCertConfig

_M = TypeVar("_M", bound=Message)


class Call(Protocol):
    """The part of a servicer context, of grpc or grpc.aio, that says who is at the other end."""

    def auth_context(self) -> Mapping[str, Iterable[bytes]]: ...


@dataclass(frozen=True, slots=True)
class Duchy:
    """An entry of the duchy info file: who it is, which name its control server's certificate bears, its root."""

    duchy_id: str
    cert_host: str
    root: x509.Certificate


class Parties:
    """The parties that may call a server, each known by its root's key."""

    def __init__(self, parties: Iterable[tuple[str, bytes]], roots: Roots) -> None:
        """Takes (name, key identifier of its root) pairs; one party may have several roots, never the reverse."""
        self._parties: dict[bytes, tuple[str, x509.Certificate]] = {}
        for name, key_identifier in parties:
            root = roots.of(key_identifier, owner=name)
            known, _ = self._parties.setdefault(key_identifier, (name, root))
            if known != name:
                raise IdentityUnusable(
                    f"{known} and {name} are configured with the same root {key_identifier.hex()}",
                    cure="give each party its own root certificate",
                )

    @property
    def roots(self) -> list[x509.Certificate]:
        """The roots that the server's TLS has to accept for these parties."""
        return [root for _, root in self._parties.values()]

    def roots_of(self, prefix: str) -> dict[str, x509.Certificate]:
        """The parties whose names begin with `prefix`, each with its root (of several, the first)."""
        found: dict[str, x509.Certificate] = {}
        for name, root in self._parties.values():
            if name.startswith(prefix):
                found.setdefault(name, root)
        return found

    def caller(self, context: Call) -> str:
        """The name of the party at the other end.

        `PermissionDenied` without TLS; `Unauthenticated` unless exactly one certificate was presented, its
        authority is a known party's, and that party's root key verifies it.
        """
        facts = context.auth_context()
        if _first(facts, "transport_security_type") != b"ssl":
            raise PermissionDenied("the connection does not use TLS", cure="connect with mutual TLS")
        certificate = _first(facts, "x509_pem_cert")
        if certificate is None:
            raise Unauthenticated("no client certificate was presented", cure="connect with this party's certificate")
        if _first(facts, "x509_pem_cert_chain") is not None:
            raise Unauthenticated("more than one client certificate was presented", cure="present the leaf alone")
        try:
            leaf = x509.load_pem_x509_certificate(certificate)
        except ValueError:
            raise Unauthenticated("the client certificate is malformed", cure="issue a new one") from None
        return self.owner(leaf)

    def owner(self, leaf: x509.Certificate) -> str:
        """The party whose root issued `leaf`; `Unauthenticated` if there is none."""
        key_identifier = authority_key_identifier(leaf)
        if key_identifier is None:
            raise Unauthenticated("the client certificate has no authority key identifier", cure="issue a new one")
        name, root = self._parties.get(key_identifier, ("", None))
        if root is None:
            raise Unauthenticated(
                f"the client certificate's authority {key_identifier.hex()} is no party here",
                cure="connect with a certificate of a party that this server knows",
            )
        try:
            verify_leaf(leaf, root, what="the client certificate")
        except ParticipationInvalid as error:
            raise Unauthenticated(error.message, cure=error.cure) from None
        return name


def read_duchies(path: Path, roots: Roots) -> dict[str, Duchy]:
    """The duchy info file (`--duchy-info-config`), by duchy ID; every duchy's root must be in the bundle."""
    config = _read_text(path, DuchyCertConfig())
    duchies: dict[str, Duchy] = {}
    for entry in config.duchies:
        if not entry.duchy_id or entry.duchy_id in duchies:
            raise FileUnusable(
                f"{path} has {'a second entry for ' + entry.duchy_id if entry.duchy_id else 'an entry without an ID'}",
                cure="give one entry to each duchy",
            )
        root = roots.of(entry.root_certificate_skid, owner=f"duchy {entry.duchy_id}")
        duchies[entry.duchy_id] = Duchy(entry.duchy_id, entry.computation_control_service_cert_host, root)
    if not duchies:
        raise FileUnusable(f"{path} names no duchy", cure="give one entry to each duchy, this one included")
    return duchies


def require_duchy(path: Path, duchy: str) -> None:
    """`ConfigurationError` unless the duchy info file has an entry for this duchy."""
    if duchy not in (entry.duchy_id for entry in _read_text(path, DuchyCertConfig()).duchies):
        raise FileUnusable(f"the duchy info file {path} has no entry for {duchy}", cure="Check --duchy-name.")


def duchy_parties(path: Path, roots: Roots) -> Parties:
    """The duchies of the duchy info file as callers; their names are duchy IDs."""
    entries = _read_text(path, DuchyCertConfig()).duchies
    read_duchies(path, roots)
    return Parties(((entry.duchy_id, entry.root_certificate_skid) for entry in entries), roots)


def principal_parties(path: Path, roots: Roots) -> Parties:
    """The callers of `--authority-key-identifier-to-principal-map-file`, with names such as `dataProviders/{id}`."""
    entries: Sequence[AuthorityKeyToPrincipalMap.Entry] = _read_text(path, AuthorityKeyToPrincipalMap()).entries
    if not entries or not all(entry.principal_resource_name for entry in entries):
        raise FileUnusable(f"{path} names no principal, or one without a name", cure="give one entry to each")
    return Parties(((entry.principal_resource_name, entry.authority_key_identifier) for entry in entries), roots)


def _read_text(path: Path, message: _M) -> _M:
    try:
        return text_format.Parse(path.read_text(), message)
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        kind = message.DESCRIPTOR.name
        raise FileUnusable(f"{path} cannot be read as {kind}: {reason}", cure=f"give a {kind} textproto") from None


def _first(facts: Mapping[str, Iterable[bytes]], name: str) -> bytes | None:
    return next(iter(facts.get(name) or ()), None)
