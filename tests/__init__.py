"""Tests of the template. Without this file, a library's own package `tests` would be imported."""
