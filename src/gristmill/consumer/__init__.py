"""A measurement consumer: asks for measurements, and reads results that only it can read."""
