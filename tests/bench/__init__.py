"""Tests of the benchmark's own code. They measure nothing."""
