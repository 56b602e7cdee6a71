"""Measuring reach and frequency of people's own events, by a consortium on this machine."""
