"""What is deployed (catalog.py) and where to (environments.toml)."""
