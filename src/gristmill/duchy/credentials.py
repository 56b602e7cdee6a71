"""Whom this duchy's processes trust: its own root for its own servers, the rest of the bundle for the kingdom."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gristmill.errors import IdentityUnusable, ParticipationInvalid
from gristmill.trust.certificates import Roots, read_certificate, verify_leaf
from gristmill.trust.channels import client_credentials
from gristmill.trust.identity import read_duchies

if TYPE_CHECKING:
    import grpc
    from cryptography import x509

    from gristmill.trust.files import TlsFiles


def own_root(tls: TlsFiles) -> x509.Certificate:
    """The root of the bundle that issued this process's own certificate, proved by its key."""
    roots = Roots.read(tls.collection_file, allow_development=tls.allow_development)
    leaf = read_certificate(tls.certificate_file)
    root = roots.issuer_of(leaf)
    try:
        if root is None:
            raise ParticipationInvalid("the bundle lacks its root")
        verify_leaf(leaf, root, what=str(tls.certificate_file))
    except ParticipationInvalid as error:
        raise IdentityUnusable(
            f"the certificate {tls.certificate_file} cannot be used: {error.message}",
            cure="Check --tls-cert-file, and that --cert-collection-file has this duchy's root.",
        ) from None
    return root


def own_credentials(tls: TlsFiles) -> grpc.ChannelCredentials:
    """For channels to this duchy's own servers."""
    return client_credentials([own_root(tls)], tls)


def kingdom_credentials(
    tls: TlsFiles, info_file: Path | None = None, others: list[x509.Certificate] | None = None
) -> grpc.ChannelCredentials:
    """For channels to the kingdom, whose root no file names: any root of the bundle but those of known others."""
    roots = Roots.read(tls.collection_file, allow_development=tls.allow_development)
    duchies = [each.root for each in read_duchies(info_file, roots).values()] if info_file else []
    return client_credentials(roots.without([own_root(tls), *duchies, *(others or ())]), tls)
