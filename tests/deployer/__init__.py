"""Tests of the deployer with a real Prefect server."""
