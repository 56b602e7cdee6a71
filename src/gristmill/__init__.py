"""Gristmill: a duchy that measures reach and frequency without any party seeing a person's data."""

import os

__version__ = "0.1.0"

# gRPC cannot be told to refuse TLS 1.2: only ECDHE with AEAD is left of it. It reads this once, at its first use.
os.environ.setdefault(
    "GRPC_SSL_CIPHER_SUITES",
    ":".join(
        f"ECDHE-{signature}-{cipher}"
        for cipher in ("AES256-GCM-SHA384", "CHACHA20-POLY1305", "AES128-GCM-SHA256")
        for signature in ("ECDSA", "RSA")
    ),
)
