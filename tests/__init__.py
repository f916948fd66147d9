"""Tests of the template. A package, because a library that ships one of this name would win."""
