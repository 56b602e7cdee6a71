"""Timing of the cryptography on this machine: what each stage of a measurement costs, beside libcrypto."""
