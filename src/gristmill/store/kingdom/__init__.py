"""The development kingdom's state on SQLite: the only module of the kingdom that speaks SQL."""
