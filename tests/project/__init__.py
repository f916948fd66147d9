"""The commands of a generated project and of this repository, really run."""
