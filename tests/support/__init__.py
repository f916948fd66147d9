"""Real things for tests to run against, each a context manager that ends what it started."""
