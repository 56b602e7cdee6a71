"""A consortium whose parties reach each other through a fault proxy; its duchies' databases may be in Postgres."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from faults.proxy import Link, Proxy
from gristmill.consortium.consortium import Consortium, Options
from gristmill.consortium.wiring import HOST, DuchyPorts, Wiring
from gristmill.consumer.client import Consumer
from gristmill.consumer.keys import ConsumerKeys
from gristmill.edp.events import EventFile
from gristmill.trust.channels import Target

SERVICES = ("internal_api", "async_computation_control", "computation_control", "requisition_fulfillment")


@dataclass(frozen=True, slots=True)
class PostgresDatabases:
    """Duchy -> its empty database, on the server that `port` leads to."""

    port: int
    names: Mapping[str, str]

    def flags(self, duchy: str) -> list[str]:
        return [
            f"--postgres-host={HOST}",
            f"--postgres-port={self.port}",
            "--postgres-user=postgres",
            "--postgres-password=any",
            f"--postgres-database={self.names[duchy]}",
        ]


@dataclass(frozen=True, slots=True)
class ProxiedWiring(Wiring):
    """Servers listen where `ports` says; everybody else is told where the proxy listens: `seen`."""

    seen: Wiring
    databases: PostgresDatabases | None

    def duchy(self, name: str) -> list[str]:
        arguments = Wiring.duchy(self, name)
        if self.databases is None:
            return arguments
        kept = [each for each in arguments if not each.startswith("--sqlite-database=")]
        return [*kept, *self.databases.flags(name)]

    def mill(self, duchy: str, identifier: str) -> list[str]:
        return self.seen.mill(duchy, identifier)

    def data_provider(self, name: str, events: EventFile) -> list[str]:
        return self.seen.data_provider(name, events)

    def _kingdom(self) -> list[str]:
        return [
            f"--kingdom-system-api-target={HOST}:{self.seen.kingdom_port}",
            f"--kingdom-system-api-cert-host={self.keys.kingdom.cert_host}",
        ]


class ProxiedConsortium(Consortium):
    """Links are named `kingdom`, and `worker1 internal_api` and so on. Whoever looks on (`inspection`) sees servers."""

    def __init__(
        self,
        directory: Path,
        events: Mapping[str, str],
        options: Options,
        proxy: Proxy,
        databases: PostgresDatabases | None = None,
    ) -> None:
        super().__init__(directory, events, options)
        plain = self.wiring
        self.kingdom_link = proxy.link("kingdom", plain.kingdom_port)
        self.duchy_links: dict[str, dict[str, Link]] = {
            duchy: {service: proxy.link(f"{duchy} {service}", getattr(ports, service)) for service in SERVICES}
            for duchy, ports in plain.ports.items()
        }
        seen = replace(
            plain,
            kingdom_port=self.kingdom_link.port,
            ports={
                duchy: DuchyPorts(*(links[service].port for service in SERVICES))
                for duchy, links in self.duchy_links.items()
            },
        )
        self.wiring = ProxiedWiring(
            plain.directory,
            plain.keys,
            plain.kingdom_port,
            plain.ports,
            plain.lease,
            plain.parallelism,
            seen=seen,
            databases=databases,
        )

    def consumer(self) -> Consumer:
        target = Target(f"{HOST}:{self.kingdom_link.port}", self.keys.kingdom.cert_host)
        return Consumer(ConsumerKeys.of(self.keys), target)
