"""`--consortium DIR --duchy NAME`: a duchy of a standing consortium, in place of the flags that find its API."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from gristmill.cli import flags

if TYPE_CHECKING:
    from gristmill.standing.standing import Standing

_FIXED = (
    *("tls_cert_file", "tls_key_file", "cert_collection_file"),
    *("computations_service_target", "computations_service_cert_host"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """After the flags that it stands for, which are no longer required then: `fill_in` says which are missing."""
    group = parser.add_argument_group("a duchy of a consortium on this machine, in place of TLS and internal API")
    group.add_argument("--consortium", type=flags.path, metavar="DIR", help="that of `gristmill consortium up DIR`")
    group.add_argument("--duchy", metavar="NAME", help="which of its duchies; with --consortium")
    for action in parser._actions:
        if action.dest in _FIXED:
            action.required = False


def fill_in(arguments: argparse.Namespace) -> None:
    """Put the consortium's values where the flags' values are looked for. ConfigurationError if neither is complete."""
    from gristmill.errors import ConfigurationError

    given = [flag(name) for name in _FIXED if getattr(arguments, name) is not None]
    if arguments.consortium is None:
        missing = [flag(name) for name in _FIXED if getattr(arguments, name) is None]
        if arguments.duchy is not None or missing:
            raise ConfigurationError(
                "--duchy needs --consortium" if arguments.duchy else f"{', '.join(missing)} must be given",
                cure="Give all flags of TLS and internal API, or --consortium with --duchy.",
            )
        return
    if given:
        raise ConfigurationError(f"{given[0]} and --consortium say the same thing twice", cure="Give one of them.")
    from gristmill.standing.standing import Standing

    standing = Standing.attach(arguments.consortium)
    if arguments.duchy not in standing.record.duchies:
        raise ConfigurationError(
            f"the consortium has no duchy {arguments.duchy}" if arguments.duchy else "--consortium needs --duchy",
            cure=f"It has {', '.join(standing.record.duchies)}.",
        )
    _fill_in(arguments, standing)


def _fill_in(arguments: argparse.Namespace, standing: Standing) -> None:
    from gristmill.consortium.wiring import HOST

    party, ports = standing.keys.duchy(arguments.duchy), standing.state["duchy_ports"]
    arguments.tls_cert_file, arguments.tls_key_file = party.tls.certificate_file, party.tls.key_file
    arguments.cert_collection_file = party.tls.collection_file
    arguments.allow_development_certificates = True
    arguments.computations_service_target = f"{HOST}:{ports[party.name]['internal_api']}"
    arguments.computations_service_cert_host = party.cert_host
    if getattr(arguments, "peers", False):
        arguments.duchy_info_config = standing.keys.duchy_cert_config_file
        arguments.duchy_computation_control_target = [
            (duchy, f"{HOST}:{each['computation_control']}") for duchy, each in ports.items()
        ]


def flag(name: str) -> str:
    return "--" + name.replace("_", "-")
