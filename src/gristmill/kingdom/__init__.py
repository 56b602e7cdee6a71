"""A small kingdom for development, demonstrations and tests: real services, real checks, one SQLite file."""
