"""Liquid Legions v2 in plain Python integers, written from the specification.

The second implementation that the native core is held against. It is slow, it is not constant time, and it is never
used on real data.
"""
