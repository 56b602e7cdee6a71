"""The protocols setup file (`--protocols-setup-config`): this duchy's role in each protocol, and who has the others."""

from __future__ import annotations

from pathlib import Path

from google.protobuf import text_format

from gristmill.errors import FileUnusable
from wfa.measurement.internal.duchy.config.protocols_setup_config_pb2 import ProtocolsSetupConfig, RoleInComputation

RINGS = ("liquid_legions_v2", "reach_only_liquid_legions_v2")
"""Protocols with an aggregator and any number of others."""


def read_setup(path: Path, duchy: str) -> ProtocolsSetupConfig:
    """FileUnusable when it cannot be read, or contradicts itself."""
    try:
        setup = text_format.Parse(path.read_text(), ProtocolsSetupConfig())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise FileUnusable(
            f"{path} cannot be read as ProtocolsSetupConfig: {reason}", cure="Give a ProtocolsSetupConfig textproto."
        ) from None
    if not setup.ListFields():
        raise FileUnusable(f"{path} names no protocol", cure="Give this duchy a role in one protocol or more.")
    for member in RINGS:
        if setup.HasField(member):  # type: ignore[arg-type]
            _check_ring(setup, member, path, duchy)
    if setup.HasField("honest_majority_share_shuffle"):
        _check_share_shuffle(setup, path, duchy)
    return setup


def _check_ring(setup: ProtocolsSetupConfig, member: str, path: Path, duchy: str) -> None:
    config = getattr(setup, member)
    aggregates = config.external_aggregator_duchy_id == duchy
    if config.role not in (1, 2) or aggregates != (config.role == 1) or not config.external_aggregator_duchy_id:
        raise FileUnusable(
            f"{path} contradicts itself: {member}.role of {duchy}, and the aggregator "
            f"{config.external_aggregator_duchy_id!r}",
            cure="Give role AGGREGATOR to the duchy that external_aggregator_duchy_id names, and to no other.",
        )


def _check_share_shuffle(setup: ProtocolsSetupConfig, path: Path, duchy: str) -> None:
    config = setup.honest_majority_share_shuffle
    holders = {
        RoleInComputation.FIRST_NON_AGGREGATOR: config.first_non_aggregator_duchy_id,
        RoleInComputation.SECOND_NON_AGGREGATOR: config.second_non_aggregator_duchy_id,
        RoleInComputation.AGGREGATOR: config.aggregator_duchy_id,
    }
    if not all(holders.values()) or len({*holders.values()}) < len(holders) or holders.get(config.role) != duchy:
        raise FileUnusable(
            f"{path} contradicts itself: honest_majority_share_shuffle.role of {duchy}, and the duchies "
            f"{', '.join(map(repr, holders.values()))}",
            cure="Name three duchies, the same in every duchy's file, and give this one the role that it is named for.",
        )
