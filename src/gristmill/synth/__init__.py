"""Synthetic populations: who saw a campaign at which publisher how often, with the exact answer."""
