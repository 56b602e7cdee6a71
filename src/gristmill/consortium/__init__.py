"""A whole consortium on one machine: kingdom, duchies, mills and data providers, from the same parts as production."""
