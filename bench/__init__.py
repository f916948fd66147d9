"""Benchmarks of speed and size, compared with Prefect's own ways."""
