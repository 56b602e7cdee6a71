"""Gristmill: a duchy that measures reach and frequency without any party seeing a person's data."""

__version__ = "0.1.0"
