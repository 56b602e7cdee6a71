"""Protocols as tables: the path of stages of each role, and what follows from it."""
