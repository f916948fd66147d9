"""What is deployed (catalog.py), and where (environments.toml)."""
