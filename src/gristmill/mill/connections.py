"""The mill's channels: each trusts only the root of the party that should be at its other end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

import grpc

from gristmill.observe.calls import LoggedClient
from gristmill.trust import channels
from gristmill.trust.channels import Target

if TYPE_CHECKING:
    from cryptography import x509

    from gristmill.trust.certificates import Roots
    from gristmill.trust.files import TlsFiles
    from gristmill.trust.identity import Duchy


class Connections:
    """Opens channels as `duchy`, one of `duchies`; they are closed with `stack`. Verbose: calls are logged."""

    def __init__(
        self,
        stack: ExitStack,
        *,
        files: TlsFiles,
        roots: Roots,
        duchies: Mapping[str, Duchy],
        duchy: str,
        verbose: bool = False,
    ) -> None:
        self._stack, self._files, self._roots = stack, files, roots
        self._duchies, self._own, self._verbose = duchies, duchies[duchy].root, verbose

    def internal_api(self, target: Target) -> grpc.Channel:
        """Under this duchy's own root: its messages carry secrets. Every call makes another connection."""
        return self._open(target, [self._own], self._files)

    def kingdom(self, target: Target) -> grpc.Channel:
        """Under any root of the bundle but the other duchies': no flag names the kingdom's."""
        others = [duchy.root for duchy in self._duchies.values() if duchy.root != self._own]
        return self._open(target, [root for root in self._roots if root not in others], self._files)

    def peer(self, duchy: str, address: str) -> grpc.Channel:
        """Under that duchy's root, with the name that the duchy info file gives."""
        entry = self._duchies[duchy]
        return self._open(Target(address, entry.cert_host), [entry.root], self._files)

    def _open(self, target: Target, roots: Iterable[x509.Certificate], identity: TlsFiles) -> grpc.Channel:
        channel = self._stack.enter_context(channels.channel(target, channels.client_credentials(roots, identity)))
        return grpc.intercept_channel(channel, LoggedClient()) if self._verbose else channel
