"""Speed and size, side by side with Prefect's own ways."""
