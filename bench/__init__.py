"""How long the deployer takes, side by side with Prefect's own `prefect deploy --all`."""
