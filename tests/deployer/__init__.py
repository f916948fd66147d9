"""Tests of the deployer, on a real Prefect server."""
