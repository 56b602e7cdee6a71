"""A development PKI: every party's root, TLS identity, signing and encryption keys, in one private directory.

One directory holds the keys of all parties, so it proves nothing to anybody: its roots are named `INSECURE
development`, live 30 days, and are refused by servers that were not started with --allow-development-certificates. The
roots' own keys are never written: nothing can be issued later, make a new directory instead.
"""

from __future__ import annotations

import json
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from google.protobuf import text_format
from google.protobuf.message import Message

from gristmill.errors import ConfigurationError, FileUnusable
from gristmill.trust import authority
from gristmill.trust.certificates import Roots, read_certificate, subject_key_identifier
from gristmill.trust.files import (
    TlsFiles,
    make_private_directory,
    require_private_directory,
    write_private_file,
)
from gristmill.trust.hybrid import HPKE, PrivateKeyset
from gristmill.trust.key_encryption import new_key_encryption_keyset
from wfa.measurement.config.authority_key_to_principal_map_pb2 import AuthorityKeyToPrincipalMap
from wfa.measurement.config.duchy_cert_config_pb2 import DuchyCertConfig
from wfa.measurement.internal.duchy.config import protocols_setup_config_pb2 as setup

LAYOUT = "consortium.json"
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Party:
    """A party of the consortium, and where its files are."""

    directory: Path
    name: str
    """Short name, also the start of its file names; for a duchy its ID."""
    resource: str
    """Public API name: `duchies/worker1`, `dataProviders/{id}`, `measurementConsumers/{id}`; empty for the kingdom."""
    certificate: str
    """Public API name of its consent-signaling certificate; empty for the kingdom."""
    cert_host: str
    """The name in its TLS certificate, beside localhost."""

    def _file(self, ending: str) -> Path:
        return self.directory / f"{self.name}_{ending}"

    @property
    def root_file(self) -> Path:
        return self._file("root.pem")

    @property
    def tls(self) -> TlsFiles:
        """Its TLS identity with the bundle of everybody's roots."""
        bundle = self.directory / "all_root_certs.pem"
        return TlsFiles(self._file("tls.pem"), self._file("tls.key"), bundle, allow_development=True)

    @property
    def signing_certificate_file(self) -> Path:
        """DER, consent signaling; not for the kingdom."""
        return self._file("cs_cert.der")

    @property
    def signing_key_file(self) -> Path:
        """PKCS#8 DER; not for the kingdom."""
        return self._file("cs_private.der")

    @property
    def private_keyset_file(self) -> Path:
        """Hybrid decryption keyset of a data provider or measurement consumer."""
        return self._file("enc_private.tink")

    @property
    def public_keyset_file(self) -> Path:
        return self._file("enc_public.tink")

    @property
    def key_encryption_keyset_file(self) -> Path:
        """Of a duchy."""
        return self._file("kek.tink")

    @property
    def protocols_setup_config_file(self) -> Path:
        """Of a duchy."""
        return self._file("protocols_setup_config.textproto")


@dataclass(frozen=True, slots=True)
class DevelopmentKeys:
    """What `make` wrote: the parties, and the configuration files that they share."""

    directory: Path
    kingdom: Party
    duchies: tuple[Party, ...]
    data_providers: tuple[Party, ...]
    measurement_consumer: Party
    aggregator: str

    @classmethod
    def load(cls, directory: Path) -> DevelopmentKeys:
        """Read the layout of a directory that `make` wrote."""
        require_private_directory(directory, what="the key directory")
        path = directory / LAYOUT
        try:
            layout = json.loads(path.read_text())
            return cls(
                directory,
                kingdom=Party(directory, **layout["kingdom"]),
                duchies=tuple(Party(directory, **entry) for entry in layout["duchies"]),
                data_providers=tuple(Party(directory, **entry) for entry in layout["data_providers"]),
                measurement_consumer=Party(directory, **layout["measurement_consumer"]),
                aggregator=str(layout["aggregator"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            raise FileUnusable(
                f"{path} is missing or unreadable", cure=f"make the directory with `gristmill keys make {directory}`"
            ) from None

    @property
    def parties(self) -> tuple[Party, ...]:
        return (self.kingdom, *self.duchies, *self.data_providers, self.measurement_consumer)

    @property
    def roots_file(self) -> Path:
        return self.directory / "all_root_certs.pem"

    @property
    def duchy_cert_config_file(self) -> Path:
        return self.directory / "duchy_cert_config.textproto"

    @property
    def principal_map_file(self) -> Path:
        """Data providers and the measurement consumer, by the key of their roots."""
        return self.directory / "authority_key_identifier_to_principal_map.textproto"

    def roots(self) -> Roots:
        return Roots.read(self.roots_file, allow_development=True)

    def duchy(self, name: str) -> Party:
        return next(party for party in self.duchies if party.name == name)

    def data_provider(self, name: str) -> Party:
        return next(party for party in self.data_providers if party.name == name)


def make(
    directory: Path,
    *,
    duchies: Sequence[str],
    data_providers: Sequence[str],
    aggregator: str = "",
    kingdom: str = "kingdom",
    measurement_consumer: str = "consumer",
    encryption: str = HPKE,
) -> DevelopmentKeys:
    """Fill a new or empty directory with the keys of a whole consortium.

    `aggregator` is one of the duchies: by default the one of this name, else the last. `encryption` is the kind of key
    (`HPKE` or `ECIES`) of the measurement consumer; data providers have HPKE keys. Raises `ConfigurationError` for bad
    or repeated names and for a directory that is not empty or not private, OSError for a full disk; then nothing is
    left written.
    """
    aggregator = aggregator or ("aggregator" if "aggregator" in duchies else duchies[-1] if duchies else "")
    _check_names([kingdom, *duchies, *data_providers, measurement_consumer], duchies, aggregator)
    existed = directory.exists()
    make_private_directory(directory, what="the key directory")
    if any(directory.iterdir()):
        raise FileUnusable(f"{directory} is not empty", cure="give a new directory; keys are never overwritten")

    def party(name: str, collection: str = "", identifier: str = "") -> Party:
        resource = f"{collection}/{identifier}" if collection else ""
        certificate = f"{resource}/certificates/{api_id()}" if resource else ""
        return Party(directory, name, resource, certificate, cert_host=f"{name}.gristmill.internal")

    keys = DevelopmentKeys(
        directory,
        kingdom=party(kingdom),
        duchies=tuple(party(name, "duchies", name) for name in duchies),
        data_providers=tuple(party(name, "dataProviders", api_id()) for name in data_providers),
        measurement_consumer=party(measurement_consumer, "measurementConsumers", api_id()),
        aggregator=aggregator,
    )
    try:
        _write(keys, encryption)
    except BaseException:
        for path in directory.iterdir():
            path.unlink()
        if not existed:
            directory.rmdir()
        raise
    return keys


def _write(keys: DevelopmentKeys, encryption: str) -> None:
    for each in keys.parties:
        _issue(each)
    names = [duchy.name for duchy in keys.duchies]
    for duchy in keys.duchies:
        write_private_file(duchy.key_encryption_keyset_file, new_key_encryption_keyset().expose())
        _write_text(duchy.protocols_setup_config_file, _setup_config(duchy.name, names, keys.aggregator))
    for each in (*keys.data_providers, keys.measurement_consumer):
        keyset = PrivateKeyset.generate(encryption if each is keys.measurement_consumer else HPKE)
        write_private_file(each.private_keyset_file, keyset.serialize().expose())
        write_private_file(each.public_keyset_file, keyset.public_key.data)
    _write_shared(keys)


def api_id() -> str:
    """A new public API ID: base64url of a positive 64-bit integer, 11 characters."""
    number = secrets.randbelow(2**63 - 1) + 1
    return urlsafe_b64encode(number.to_bytes(8, "big")).decode().rstrip("=")


def _check_names(names: Sequence[str], duchies: Sequence[str], aggregator: str) -> None:
    for name in names:
        if not _NAME.fullmatch(name):
            raise ConfigurationError(f"{name!r} cannot be a party's name", cure="use a-z, 0-9 and inner hyphens")
        if names.count(name) > 1:
            raise ConfigurationError(f"two parties are named {name}", cure="give each party a name of its own")
    if len(duchies) < 2 or aggregator not in duchies:
        raise ConfigurationError("there must be two duchies or more, one being the aggregator", cure="name them all")


def _issue(party: Party) -> None:
    root = authority.Root.create(party.name)
    write_private_file(party.root_file, root.pem)
    leaf = root.issue_tls(party.name, [party.cert_host, "localhost"])
    write_private_file(party.tls.certificate_file, leaf.certificate_pem)
    write_private_file(party.tls.key_file, leaf.key_pem.expose())
    if party.certificate:
        leaf = root.issue_signing(party.name)
        write_private_file(party.signing_certificate_file, leaf.certificate_der)
        write_private_file(party.signing_key_file, leaf.key_der.expose())


def _write_shared(keys: DevelopmentKeys) -> None:
    write_private_file(keys.roots_file, b"".join(party.root_file.read_bytes() for party in keys.parties))
    key_identifiers = {
        party.name: subject_key_identifier(read_certificate(party.root_file)) or b"" for party in keys.parties
    }
    duchies = DuchyCertConfig()
    for duchy in keys.duchies:
        duchies.duchies.add(
            duchy_id=duchy.name,
            computation_control_service_cert_host=duchy.cert_host,
            root_certificate_skid=key_identifiers[duchy.name],
        )
    _write_text(keys.duchy_cert_config_file, duchies)
    principals = AuthorityKeyToPrincipalMap()
    for party in (*keys.data_providers, keys.measurement_consumer):
        principals.entries.add(
            authority_key_identifier=key_identifiers[party.name], principal_resource_name=party.resource
        )
    _write_text(keys.principal_map_file, principals)
    layout = {
        "aggregator": keys.aggregator,
        "kingdom": _entry(keys.kingdom),
        "duchies": [_entry(party) for party in keys.duchies],
        "data_providers": [_entry(party) for party in keys.data_providers],
        "measurement_consumer": _entry(keys.measurement_consumer),
    }
    write_private_file(keys.directory / LAYOUT, (json.dumps(layout, indent=2) + "\n").encode())


def _entry(party: Party) -> dict[str, str]:
    return {field.name: getattr(party, field.name) for field in fields(party) if field.name != "directory"}


def _setup_config(duchy: str, duchies: Sequence[str], aggregator: str) -> setup.ProtocolsSetupConfig:
    leads = duchy == aggregator
    role = setup.AGGREGATOR if leads else setup.NON_AGGREGATOR
    config = setup.ProtocolsSetupConfig()
    for entry in (config.liquid_legions_v2, config.reach_only_liquid_legions_v2):
        entry.role = role
        entry.external_aggregator_duchy_id = aggregator
    others = [name for name in duchies if name != aggregator]
    if len(others) == 2:
        roles = (setup.FIRST_NON_AGGREGATOR, setup.SECOND_NON_AGGREGATOR)
        shuffle = config.honest_majority_share_shuffle
        shuffle.role = setup.AGGREGATOR if leads else roles[others.index(duchy)]
        shuffle.first_non_aggregator_duchy_id, shuffle.second_non_aggregator_duchy_id = others
        shuffle.aggregator_duchy_id = aggregator
    if leads:
        config.trus_tee.role = setup.AGGREGATOR
    return config


def _write_text(path: Path, message: Message) -> None:
    header = f"# proto-file: {message.DESCRIPTOR.file.name}\n# proto-message: {message.DESCRIPTOR.full_name}\n"
    write_private_file(path, (header + text_format.MessageToString(message)).encode())
