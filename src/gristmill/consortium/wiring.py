"""Which flags each process of a consortium on one machine is started with. Pure: nothing is started or written here."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from datetime import timedelta
from pathlib import Path

from gristmill.edp.events import EventFile
from gristmill.trust.development import DevelopmentKeys, Party

HOST = "127.0.0.1"
SHARE_SHUFFLE_DUCHIES = 3
"""Share shuffle is for two workers and an aggregator; other consortia have no role in it."""


@dataclass(frozen=True, slots=True)
class DuchyPorts:
    """Where the servers of one duchy listen, on HOST."""

    internal_api: int
    async_computation_control: int
    computation_control: int
    requisition_fulfillment: int

    def all(self) -> tuple[int, ...]:
        return astuple(self)


@dataclass(frozen=True, slots=True)
class Wiring:
    """A consortium's directory, keys and ports, from which every process's arguments follow.

    Attributes:
        lease: for how long a mill claims a stage; it renews three times as often and then reports its progress.
        parallelism: threads of one mill's cryptography.
    """

    directory: Path
    keys: DevelopmentKeys
    kingdom_port: int
    ports: dict[str, DuchyPorts]
    lease: timedelta
    parallelism: int

    def kingdom(self) -> list[str]:
        state = self.state("kingdom")
        return [
            "kingdom",
            *self._tls(self.keys.kingdom),
            f"--consortium-directory={self.keys.directory}",
            f"--sqlite-database={state / 'kingdom.sqlite'}",
            f"--port={self.kingdom_port}",
            "--enable-ro-llv2-protocol",
        ]

    def duchy(self, name: str) -> list[str]:
        party, ports, state = self.keys.duchy(name), self.ports[name], self.state(name)
        return [
            "duchy",
            *self._tls(party),
            *self._identity(name),
            *self._kingdom(),
            f"--internal-api-port={ports.internal_api}",
            f"--async-computation-control-port={ports.async_computation_control}",
            f"--computation-control-port={ports.computation_control}",
            f"--requisition-fulfillment-port={ports.requisition_fulfillment}",
            f"--sqlite-database={state / 'duchy.sqlite'}",
            f"--file-system-storage-directory={self.blobs(name)}",
            f"--key-encryption-key-file={party.key_encryption_keyset_file}",
            f"--protocols-setup-config={party.protocols_setup_config_file}",
            f"--authority-key-identifier-to-principal-map-file={self.keys.principal_map_file}",
        ]

    def mill(self, duchy: str, identifier: str) -> list[str]:
        party, ports = self.keys.duchy(duchy), self.ports[duchy]
        return [
            "mill",
            "all" if len(self.ports) == SHARE_SHUFFLE_DUCHIES else "llv2",
            "--daemon",
            f"--mill-id={identifier}",
            *self._tls(party),
            *self._identity(duchy),
            *self._kingdom(),
            f"--computations-service-target={HOST}:{ports.internal_api}",
            f"--computations-service-cert-host={party.cert_host}",
            *(
                f"--duchy-computation-control-target={peer}={HOST}:{each.computation_control}"
                for peer, each in self.ports.items()
            ),
            *self._consent_signaling(party),
            f"--protocols-setup-config={party.protocols_setup_config_file}",
            f"--kingdom-public-api-target={HOST}:{self.kingdom_port}",
            f"--kingdom-public-api-cert-host={self.keys.kingdom.cert_host}",
            f"--file-system-storage-directory={self.blobs(duchy)}",
            f"--parallelism={self.parallelism}",
            f"--work-lock-duration={self.lease // timedelta(milliseconds=1)}ms",
            "--polling-interval=200ms",
        ]

    def data_provider(self, name: str, events: EventFile) -> list[str]:
        """It knows all duchies, and prefers another one than its neighbour in the list."""
        party = self.keys.data_provider(name)
        place = self.keys.data_providers.index(party) % len(self.ports)
        duchies = [*self.ports][place:] + [*self.ports][:place]
        return [
            "edp",
            *self._tls(party),
            f"--data-provider={party.resource}",
            f"--private-keyset-file={party.private_keyset_file}",
            *self._consent_signaling(party),
            f"--duchy-info-config={self.keys.duchy_cert_config_file}",
            f"--authority-key-identifier-to-principal-map-file={self.keys.principal_map_file}",
            f"--events-file={events.path.absolute()}",
            f"--id-column={events.id_column}",
            *(f"--where={column}={value}" for column, value in events.where.items()),
            *([f"--time-column={events.time_column}"] if events.time_column is not None else []),
            *([f"--start={events.start.isoformat()}"] if events.start else []),
            *([f"--end={events.end.isoformat()}"] if events.end else []),
            f"--integer-ids={str(events.integer_ids).lower()}",
            *(
                f"--population={first}-{last}"
                for first, last in (events.population.ranges if events.population else ())
            ),
            f"--kingdom-public-api-target={HOST}:{self.kingdom_port}",
            f"--kingdom-public-api-cert-host={self.keys.kingdom.cert_host}",
            *(
                f"--requisition-fulfillment-target={duchy}={HOST}:{self.ports[duchy].requisition_fulfillment}"
                for duchy in duchies
            ),
            f"--spool-directory={self.state(name)}",
            "--polling-interval=500ms",
        ]

    def blobs(self, duchy: str) -> Path:
        """Where a duchy's servers and mills keep blobs."""
        return self.state(duchy) / "blobs"

    def events(self, provider: str) -> Path:
        """The file of a data provider's events, where they are kept here."""
        return self.state(provider) / "events.csv"

    def state(self, party: str) -> Path:
        """The directory in which a party keeps what it knows."""
        return self.directory / party

    def _tls(self, party: Party) -> list[str]:
        return [
            f"--tls-cert-file={party.tls.certificate_file}",
            f"--tls-key-file={party.tls.key_file}",
            f"--cert-collection-file={party.tls.collection_file}",
            "--allow-development-certificates",
        ]

    def _identity(self, duchy: str) -> list[str]:
        return [f"--duchy-name={duchy}", f"--duchy-info-config={self.keys.duchy_cert_config_file}"]

    def _consent_signaling(self, party: Party) -> list[str]:
        return [
            f"--consent-signaling-certificate-resource-name={party.certificate}",
            f"--consent-signaling-certificate-der-file={party.signing_certificate_file}",
            f"--consent-signaling-private-key-der-file={party.signing_key_file}",
        ]

    def _kingdom(self) -> list[str]:
        return [
            f"--kingdom-system-api-target={HOST}:{self.kingdom_port}",
            f"--kingdom-system-api-cert-host={self.keys.kingdom.cert_host}",
        ]
