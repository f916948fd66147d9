"""What is refused before a request is sent: names, tables, options and parameters."""
