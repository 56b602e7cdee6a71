"""Who takes part in this kingdom, and who is calling: every party is known by the key of its own root certificate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography import x509

from gristmill.errors import PermissionDenied
from gristmill.trust.identity import Call, Parties

_DUCHY = "duchies/"


@dataclass(frozen=True, slots=True)
class Registry:
    """All parties by resource name (`duchies/worker1`, `dataProviders/{id}`, `measurementConsumers/{id}`)."""

    parties: Parties
    roots: Mapping[str, x509.Certificate]
    aggregator: str

    @property
    def duchies(self) -> tuple[str, ...]:
        """The IDs of all duchies; each takes part in every computation."""
        return tuple(sorted(name.removeprefix(_DUCHY) for name in self.roots if name.startswith(_DUCHY)))

    @property
    def workers(self) -> tuple[str, ...]:
        """The IDs of all duchies but the aggregator."""
        return tuple(duchy for duchy in self.duchies if duchy != self.aggregator)

    def caller(self, context: Call) -> str:
        """The resource name of the calling party."""
        return self.parties.caller(context)

    def duchy(self, context: Call) -> str:
        """The ID of the calling duchy; PermissionDenied if the caller is none."""
        name = self.caller(context)
        if not name.startswith(_DUCHY):
            raise PermissionDenied(f"{name} is not a duchy, and only duchies may call the system API")
        return name.removeprefix(_DUCHY)

    def require(self, context: Call, owner: str) -> str:
        """The calling party's name, which must be `owner`; else PermissionDenied."""
        name = self.caller(context)
        if name != owner:
            raise PermissionDenied(f"{name} may not do this for {owner}")
        return name

    def require_duchy(self, context: Call, duchy: str) -> str:
        """The calling duchy's ID, which must be `duchy`; else PermissionDenied."""
        caller = self.duchy(context)
        if caller != duchy:
            raise PermissionDenied(f"duchy {caller} may not do this for duchy {duchy}")
        return caller
