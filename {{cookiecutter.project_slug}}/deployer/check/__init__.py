"""Checks that send no request: names, options, parameters, and values computed at import."""
