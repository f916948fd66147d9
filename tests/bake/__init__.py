"""Tests of what the template generates: no server, no container, seconds."""
