"""Tests that run the commands of a generated project and of this repository."""
