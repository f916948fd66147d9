"""Tests of the flows and of what is deployed."""
