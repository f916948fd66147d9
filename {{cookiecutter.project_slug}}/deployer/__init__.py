"""Deploys the catalog of this project to a Prefect server: plan, deploy, verify, roll back.

One idea a module, in reading order: `catalog` and `environment` are what a person writes;
`state` and `plan` are pure; `server` talks to Prefect; `apply` and `verify` act; `cli` is the door.
Importing any of them touches neither the network nor the environment.
"""
