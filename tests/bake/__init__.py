"""Tests of the generated files. They need no server and no container and take seconds."""
