"""The flows of this project, one module for each flow."""
