"""Flags that several commands share, and the types that their values are read with.

Every group has two functions: `add_x(parser)` declares the flags, `x(arguments)` reads them into a frozen dataclass.
Both `--name=value` and `--name value` are accepted. Anything that is wrong with a flag ends the process with exit
code 2, either through argparse or as a ConfigurationError.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from gristmill.errors import ConfigurationError, FileUnusable
from gristmill.secret import Secret

MESSAGE_LIMIT = 4 * 1024 * 1024
"""gRPC's default limit for one message, in bytes; a chunk has to fit below it together with its framing."""
LARGEST_CHUNK = MESSAGE_LIMIT - 64 * 1024

_NANOSECONDS = {"ns": 1, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9}
_DURATION = re.compile(r"(?:\d{1,100}(?:ns|ms|s|m|h|d))+", re.ASCII)
_DURATION_PART = re.compile(r"(\d+)(ns|ms|s|m|h|d)", re.ASCII)


# Types of values. Each raises ArgumentTypeError, which argparse turns into a usage error.


def duration(text: str) -> timedelta:
    """`10m`, `1h30m`, `180d`: integers with the units ns, ms, s, m, h, d, summed. Anything else is refused.

    Resolution is one microsecond; smaller parts are rounded down.
    """
    if not _DURATION.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r:.100} is not a duration; write integers with units, as in 90s, 10m or 1h30m"
        )
    nanoseconds = sum(int(amount) * _NANOSECONDS[unit] for amount, unit in _DURATION_PART.findall(text))
    try:
        return timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:
        raise argparse.ArgumentTypeError(f"{text!r} is longer than any time there is") from None


def positive_duration(text: str) -> timedelta:
    """A duration above zero."""
    value = duration(text)
    if not value:
        raise argparse.ArgumentTypeError(f"{text!r} is zero; it must be longer")
    return value


def boolean(text: str) -> bool:
    """`true` or `false`. Use it through `add_boolean`, which gives the bare flag its meaning as well."""
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text == "true"


def key_value(text: str) -> tuple[str, str]:
    """One entry of a map flag, `key=value`. The flag is repeated once an entry: use it through `add_map`."""
    key, equals, value = text.partition("=")
    if not (key and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form key=value")
    return key, value


def path(text: str) -> Path:
    """A path that the system can take; a leading ~ stands for a home directory."""
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    try:
        found = Path(text).expanduser()
        with suppress(FileNotFoundError, NotADirectoryError):
            found.lstat()
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise argparse.ArgumentTypeError(f"{text!r:.300} cannot be used as a path: {reason}") from None
    return found


def file(text: str) -> Path:
    """The path of a file, which may be missing yet. A pipe is none: who reads it might wait for ever."""
    found = path(text)
    try:
        other = found.exists() and not found.is_file()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text!r} cannot be used: {error.strerror}") from None
    if other:
        raise argparse.ArgumentTypeError(f"{text!r} is not a file")
    return found


def named_path(text: str) -> tuple[str, Path]:
    """`name=path`, as `key_value`."""
    name, file = key_value(text)
    return name, path(file)


def integer(minimum: int | None = None, maximum: int | None = None) -> Callable[[str], int]:
    """A type for integers between two bounds, both inclusive."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[+-]?\d{1,100}", text, re.ASCII):
            raise argparse.ArgumentTypeError(f"{text!r:.100} is not an integer")
        value = int(text)
        if minimum is not None and value < minimum:
            raise argparse.ArgumentTypeError(f"{value} is below the smallest allowed value, {minimum}")
        if maximum is not None and value > maximum:
            raise argparse.ArgumentTypeError(f"{value} is above the largest allowed value, {maximum}")
        return value

    return parse


port = integer(0, 65535)
"""A TCP port; 0 lets the operating system choose."""


def target(text: str) -> str:
    """`host:port` of a server."""
    host, colon, number = text.rpartition(":")
    if not (host and colon and number.isascii() and number.isdigit() and 0 < int(number) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form host:port")
    return text


# Ways to declare a flag.


def add_boolean(parser: argparse._ActionsContainer, name: str, *, default: bool, help: str) -> None:
    """A flag that is true when bare, and takes `=true` or `=false`."""
    parser.add_argument(name, nargs="?", const=True, default=default, type=boolean, metavar="true|false", help=help)


def add_map(parser: argparse._ActionsContainer, name: str, *, help: str, metavar: str = "KEY=VALUE") -> None:
    """A flag that is repeated, once an entry. Read it with `mapping`."""
    parser.add_argument(name, action="append", default=[], type=key_value, metavar=metavar, help=help)


def add_enum(parser: argparse._ActionsContainer, name: str, values: Iterable[str], **options: Any) -> None:
    """A flag whose value is one of these names, spelt exactly."""
    parser.add_argument(name, choices=tuple(values), **options)


def mapping(name: str, entries: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """The entries of a map flag. ConfigurationError when one key is given twice with different values."""
    found: dict[str, str] = {}
    for key, value in entries:
        if found.setdefault(key, value) != value:
            raise ConfigurationError(
                f"{name} is given twice for {key}: {found[key]} and {value}", cure="Give one entry a key."
            )
    return found


def readable_file(name: str, path: Path) -> Path:
    """The path, when it can be read as a file. ConfigurationError otherwise."""
    if not path.is_file() or not os.access(path, os.R_OK):
        raise FileUnusable(
            f"the file of {name}, {path}, cannot be read", cure="Check that it exists and who may read it."
        )
    return path


# TLS.


@dataclass(frozen=True, slots=True)
class TlsFlags:
    """Files of this process's TLS identity, and the bundle of trusted roots."""

    certificate_file: Path
    key_file: Path
    collection_file: Path


def add_tls(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("TLS")
    group.add_argument(
        "--tls-cert-file", type=file, required=True, metavar="FILE", help="PEM certificate (chain) of this process"
    )
    group.add_argument(
        "--tls-key-file", type=file, required=True, metavar="FILE", help="PEM private key of that certificate"
    )
    group.add_argument(
        "--cert-collection-file",
        type=file,
        required=True,
        metavar="FILE",
        help="PEM bundle of every party's root certificate",
    )


def tls(arguments: argparse.Namespace) -> TlsFlags:
    return TlsFlags(
        readable_file("--tls-cert-file", arguments.tls_cert_file),
        readable_file("--tls-key-file", arguments.tls_key_file),
        readable_file("--cert-collection-file", arguments.cert_collection_file),
    )


# Servers.


@dataclass(frozen=True, slots=True)
class ServerFlags:
    """Where a server listens (`port` is None where several servers share a process and have a flag each)."""

    port: int | None
    require_client_auth: bool
    health_port: int
    shutdown_grace_period: timedelta
    thread_pool_size: int


def add_server(parser: argparse.ArgumentParser, *, with_port: bool = True) -> None:
    """The flags of one gRPC server. `with_port=False` leaves --port to a command that runs several."""
    group = parser.add_argument_group("server")
    if with_port:
        group.add_argument("--port", "-p", type=port, default=8443, help="TLS listening port (8443; 0: any free one)")
    add_boolean(group, "--require-client-auth", default=True, help="demand a client certificate (true)")
    group.add_argument(
        "--health-port", type=port, default=8080, help="port of the plaintext health service (8080; 0: any free one)"
    )
    group.add_argument(
        "--shutdown-grace-period-seconds",
        type=integer(0),
        default=25,
        metavar="N",
        help="time to drain after SIGTERM (25)",
    )
    group.add_argument(
        "--grpc-thread-pool-size",
        type=integer(1),
        default=max(os.cpu_count() or 2, 2),
        metavar="N",
        help="size of the handler pool",
    )


def server(arguments: argparse.Namespace) -> ServerFlags:
    return ServerFlags(
        getattr(arguments, "port", None),
        arguments.require_client_auth,
        arguments.health_port,
        timedelta(seconds=arguments.shutdown_grace_period_seconds),
        arguments.grpc_thread_pool_size,
    )


# Identity.


@dataclass(frozen=True, slots=True)
class IdentityFlags:
    """Which duchy this process belongs to; the info file is None where a command has no use for it."""

    duchy: str
    info_file: Path | None


def add_identity(parser: argparse.ArgumentParser, *, info: bool = True, info_required: bool = True) -> None:
    """`info=False` leaves --duchy-info-config out; `info_required=False` makes it optional."""
    group = parser.add_argument_group("identity")
    group.add_argument("--duchy-name", required=True, metavar="ID", help="this duchy's ID as the kingdom knows it")
    if info:
        group.add_argument(
            "--duchy-info-config",
            type=file,
            required=info_required,
            metavar="FILE",
            help="DuchyCertConfig as textproto: every duchy's ID, host and root certificate",
        )


def identity(arguments: argparse.Namespace) -> IdentityFlags:
    path: Path | None = getattr(arguments, "duchy_info_config", None)
    if not arguments.duchy_name:
        raise ConfigurationError("--duchy-name is empty", cure="Give the duchy's ID as the kingdom knows it.")
    return IdentityFlags(arguments.duchy_name, path and readable_file("--duchy-info-config", path))


# Clients.


@dataclass(frozen=True, slots=True)
class ClientFlags:
    """A server to call: its target, the name in its certificate (None: the target's host), the default deadline."""

    target: str
    cert_host: str | None
    deadline: timedelta


def _add_client(
    parser: argparse.ArgumentParser, prefix: str, what: str, *, host_required: bool, required: bool = True
) -> None:
    group = parser.add_argument_group(what)
    group.add_argument(
        f"--{prefix}-target", type=target, required=required, metavar="HOST:PORT", help=f"where the {what} is"
    )
    group.add_argument(
        f"--{prefix}-cert-host",
        required=required and host_required,
        metavar="NAME",
        help="name expected in its certificate instead of the target's host",
    )


def _client(arguments: argparse.Namespace, prefix: str, deadline: timedelta) -> ClientFlags:
    return ClientFlags(
        getattr(arguments, f"{prefix}_target"), getattr(arguments, f"{prefix}_cert_host") or None, deadline
    )


def add_computations_client(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    _add_client(parser, "computations-service", "internal API", host_required=True, required=required)
    parser.add_argument(
        "--computations-default-deadline",
        type=positive_duration,
        default=timedelta(seconds=30),
        help="of calls to it (30s)",
    )


def computations_client(arguments: argparse.Namespace) -> ClientFlags:
    return _client(arguments, "computations_service", arguments.computations_default_deadline)


def add_async_client(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    _add_client(
        parser, "async-computation-control-service", "async control server", host_required=True, required=required
    )
    parser.add_argument(
        "--async-computation-control-default-deadline",
        type=positive_duration,
        default=timedelta(seconds=30),
        help="of calls to it (30s)",
    )


def async_client(arguments: argparse.Namespace) -> ClientFlags:
    return _client(arguments, "async_computation_control_service", arguments.async_computation_control_default_deadline)


def add_kingdom_system_client(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    _add_client(parser, "kingdom-system-api", "kingdom's system API", host_required=False, required=required)


def kingdom_system_client(arguments: argparse.Namespace) -> ClientFlags:
    return _client(arguments, "kingdom_system_api", timedelta(seconds=30))


def add_kingdom_public_client(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    _add_client(parser, "kingdom-public-api", "kingdom's public API", host_required=False, required=required)


def kingdom_public_client(arguments: argparse.Namespace) -> ClientFlags:
    return _client(arguments, "kingdom_public_api", timedelta(seconds=30))


# Storage of blobs.


@dataclass(frozen=True, slots=True)
class StorageFlags:
    """Exactly one of `directory` and `forwarded_target` is set."""

    directory: Path | None
    forwarded_target: str | None
    forwarded_cert_host: str | None


def add_storage(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("blob storage (one family)")
    group.add_argument(
        "--file-system-storage-directory", type=path, metavar="DIR", help="keep blobs as files in this directory"
    )
    group.add_argument(
        "--forwarded-storage-service-target",
        type=target,
        metavar="HOST:PORT",
        help="keep blobs in a forwarded storage server",
    )
    group.add_argument(
        "--forwarded-storage-cert-host", metavar="NAME", help="name expected in that server's certificate"
    )


def storage(arguments: argparse.Namespace) -> StorageFlags:
    directory, forwarded = arguments.file_system_storage_directory, arguments.forwarded_storage_service_target
    if (directory is None) == (forwarded is None):
        given = "no blob storage is given" if directory is None else "two kinds of blob storage are given"
        raise ConfigurationError(
            given, cure="Give either --file-system-storage-directory or --forwarded-storage-service-target."
        )
    return StorageFlags(directory, forwarded, arguments.forwarded_storage_cert_host or None)


# Database of the internal API.


@dataclass(frozen=True, slots=True)
class DatabaseFlags:
    """A SQLAlchemy URL, secret as it may hold a password, and the longest a statement may take (None: no limit)."""

    url: Secret
    statement_timeout: timedelta | None


def add_database(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("database (SQLite or Postgres)")
    group.add_argument(
        "--sqlite-database", type=path, metavar="FILE", help="SQLite database file; created when missing"
    )
    group.add_argument("--postgres-host", metavar="HOST")
    group.add_argument("--postgres-port", type=port, metavar="PORT")
    group.add_argument("--postgres-database", default="", metavar="NAME")
    group.add_argument("--postgres-user", metavar="USER")
    group.add_argument("--postgres-password", metavar="PASSWORD")
    group.add_argument(
        "--statement-timeout", type=duration, default=timedelta(0), help="longest a statement may take (0s: no limit)"
    )


def database(arguments: argparse.Namespace) -> DatabaseFlags:
    from urllib.parse import quote

    timeout = arguments.statement_timeout or None
    names = ("postgres_host", "postgres_port", "postgres_user", "postgres_password")
    missing = [f"--{name.replace('_', '-')}" for name in names if getattr(arguments, name) is None]
    postgres = len(missing) < len(names) or arguments.postgres_database
    if (arguments.sqlite_database is not None) == bool(postgres):
        raise ConfigurationError(
            "two databases are given" if postgres else "no database is given",
            cure="Give either --sqlite-database or the --postgres-* flags.",
        )
    if arguments.sqlite_database is not None:
        return DatabaseFlags(Secret(f"sqlite+aiosqlite:///{arguments.sqlite_database.absolute()}".encode()), timeout)
    if missing:
        raise ConfigurationError(f"{', '.join(missing)} must be given with the other --postgres-* flags")
    user, password = quote(arguments.postgres_user, safe=""), quote(arguments.postgres_password, safe="")
    place = f"{arguments.postgres_host}:{arguments.postgres_port}/{quote(arguments.postgres_database, safe='')}"
    return DatabaseFlags(Secret(f"postgresql+asyncpg://{user}:{password}@{place}".encode()), timeout)


# Logs and metrics.


@dataclass(frozen=True, slots=True)
class LoggingFlags:
    """Level of the log, whether requests and responses are logged, port of the Prometheus endpoint (None: none)."""

    level: str
    verbose_server: bool
    verbose_client: bool
    metrics_port: int | None


def add_logging(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("logs and metrics")
    add_enum(
        group,
        "--log-level",
        ("debug", "info", "warning", "error"),
        default="info",
        help="least level that is logged (info)",
    )
    add_boolean(
        group, "--debug-verbose-grpc-server-logging", default=False, help="log every request and response served"
    )
    add_boolean(group, "--debug-verbose-grpc-client-logging", default=False, help="log every request and response sent")
    group.add_argument("--metrics-port", type=port, metavar="PORT", help="serve Prometheus metrics on this port")


def logging(arguments: argparse.Namespace) -> LoggingFlags:
    return LoggingFlags(
        arguments.log_level,
        arguments.debug_verbose_grpc_server_logging,
        arguments.debug_verbose_grpc_client_logging,
        arguments.metrics_port,
    )


# Development.


def add_development(parser: argparse.ArgumentParser) -> None:
    """`arguments.allow_development_certificates`: whether roots named `INSECURE development` are accepted."""
    group = parser.add_argument_group("development")
    add_boolean(
        group,
        "--allow-development-certificates",
        default=False,
        help="accept roots that are named INSECURE development (false)",
    )
