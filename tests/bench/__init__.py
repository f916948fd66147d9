"""Tests of the benchmark's frame: they measure nothing."""
