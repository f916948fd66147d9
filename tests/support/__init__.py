"""Servers and programs for tests. Each is a context manager that stops what it started."""
