"""Deploys the catalog of this project to a Prefect server: plan, deploy, verify, roll back.

One idea a module. In reading order: `catalog` and `environment` are what a person writes, `desired`
what they ask for; `spec` and `plan` are pure; `server` talks to Prefect, `work_pool` says what is
wrong with a work pool; `lock`, `guards`, `apply`, `writers`, `verify` and `release` act; `deploy`
puts them together. That is the heart.
Around it: the folder `cli` is the door, `check` finds what is wrong offline, `doctor` what is wrong
between here and the runs; `setup`, `destroy`, `export`, `serve` and `sbom` are commands of their
own. Importing any of them touches neither the network nor the environment.
"""
