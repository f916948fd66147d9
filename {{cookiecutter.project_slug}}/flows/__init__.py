"""The flows of this project, one module a flow."""
