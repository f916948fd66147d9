"""Deploys the catalog of this project to a Prefect server: plan, deploy, verify, roll back.

One idea a module. The heart, in reading order: `catalog` and `environment` are what a person
writes; `state` and `plan` are pure; `server` talks to Prefect; `lock`, `apply`, `verify` and
`release` act; `deploy` puts them together. Around it: `check` with `rules` and `parameters` finds
what is wrong offline, `doctor` what is wrong between here and the runs; `setup`, `destroy`,
`export` and `serve` are commands of their own; `cli` is the door.
Importing any of them touches neither the network nor the environment.
"""
