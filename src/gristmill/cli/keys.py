"""`gristmill keys`: make a development PKI, show what a key directory holds, rotate a key-encryption keyset."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from gristmill.cli import flags

if TYPE_CHECKING:
    from cryptography import x509


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="action", required=True, metavar="{make,show,rotate,prune}")
    make = commands.add_parser(
        "make",
        allow_abbrev=False,
        help="make the keys of a kingdom, duchies, data providers and a measurement consumer",
        description="Make an INSECURE development PKI in a new or empty directory. It is valid for 30 days.",
    )
    make.add_argument("directory", type=flags.path, metavar="DIR")
    make.add_argument("--duchy", action="append", required=True, metavar="NAME", help="a duchy's ID; repeat for each")
    make.add_argument("--aggregator", default="", metavar="NAME", help="default: `aggregator`, else the last duchy")
    make.add_argument("--data-provider", action="append", required=True, metavar="NAME", help="repeat for each")
    make.add_argument("--kingdom", default="kingdom", metavar="NAME")
    make.add_argument("--measurement-consumer", default="consumer", metavar="NAME")
    make.add_argument(
        "--consumer-encryption", choices=("hpke", "ecies"), default="hpke", help="kind of the consumer's encryption key"
    )
    show = commands.add_parser(
        "show", allow_abbrev=False, help="show certificates and key files: expiry and fingerprints, never a secret"
    )
    show.add_argument("directory", type=flags.path, metavar="DIR")
    for action, what in (
        ("rotate", "put a new key in front of a key-encryption keyset, which the duchy then seals with"),
        ("prune", "remove all keys but the one in front from a key-encryption keyset"),
    ):
        keyset = commands.add_parser(action, allow_abbrev=False, help=what, description=f"{what.capitalize()}.")
        keyset.add_argument("keyset", type=flags.file, metavar="FILE", help="of --key-encryption-key-file")


def run(arguments: argparse.Namespace) -> int:
    match arguments.action:
        case "make":
            return _make(arguments)
        case "show":
            return _show(arguments.directory)
        case _:
            return _change_keyset(arguments.keyset, prune=arguments.action == "prune")


def _make(arguments: argparse.Namespace) -> int:
    from gristmill.trust import development
    from gristmill.trust.hybrid import ECIES, HPKE

    keys = development.make(
        arguments.directory,
        duchies=arguments.duchy,
        data_providers=arguments.data_provider,
        aggregator=arguments.aggregator,
        kingdom=arguments.kingdom,
        measurement_consumer=arguments.measurement_consumer,
        encryption=ECIES if arguments.consumer_encryption == "ecies" else HPKE,
    )
    print(f"Made the keys of {len(keys.parties)} parties in {keys.directory}; the aggregator is {keys.aggregator}.")
    print("They protect nothing: whoever reads the directory is every party. Use them on one machine only.")
    return 0


def _show(directory: Path) -> int:
    from gristmill.errors import FileUnusable
    from gristmill.trust.certificates import fingerprint, is_development, read_certificates

    if not directory.is_dir():
        raise FileUnusable(f"{directory} is not a directory", cure="give the directory that holds the keys")
    paths = [path for path in sorted(directory.iterdir()) if path.suffix in (".pem", ".key", ".der", ".tink")]
    if not paths:
        raise FileUnusable(f"{directory} holds no keys or certificates", cure="give the directory that holds the keys")
    development = False
    for path in paths:
        if path.suffix == ".pem" or path.name.endswith("_cert.der"):
            for certificate in read_certificates(path):
                development = development or is_development(certificate)
                subject = certificate.subject.rfc4514_string()
                print(f"{path.name}: {subject}\n    {_validity(certificate)}; SHA-256 {fingerprint(certificate)}")
        else:
            print(f"{path.name}: key file, mode {path.stat().st_mode & 0o777:04o}")
    if development:
        print("These are INSECURE development keys: they protect nothing.")
    return 0


def _change_keyset(file: Path, *, prune: bool) -> int:
    """The file is replaced as a whole, so that a process that reads it meets the old keyset or the new one."""
    from gristmill.errors import FileUnusable
    from gristmill.trust.files import read_private_file, write_private_file
    from gristmill.trust.key_encryption import key_count, prune_keyset, rotate_keyset

    before = read_private_file(file, what="the key-encryption keyset")
    after = prune_keyset(before) if prune else rotate_keyset(before)
    new = file.with_name(f".{file.name}.new")
    try:
        new.unlink(missing_ok=True)
        write_private_file(new, after.expose())
        new.replace(file)
    except OSError as error:
        raise FileUnusable(f"{file} cannot be replaced: {error.strerror}", cure="check who may write there") from None
    count = key_count(after)
    print(f"{file} has {count} {'key' if count == 1 else 'keys'}; new secrets are sealed with the first.")
    if not prune:
        print("The others open what they sealed. Prune them when the computations created before now have ended.")
    return 0


def _validity(certificate: x509.Certificate) -> str:
    from datetime import UTC, datetime

    end = certificate.not_valid_after_utc
    days = (end - datetime.now(UTC)).days
    return f"EXPIRED at {end:%Y-%m-%d %H:%M} UTC" if days < 0 else f"valid until {end:%Y-%m-%d %H:%M} UTC ({days} days)"
