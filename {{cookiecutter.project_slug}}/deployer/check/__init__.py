"""What is refused before a request is sent: names, options, parameters, what an import computes."""
