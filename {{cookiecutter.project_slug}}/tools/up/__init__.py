"""Everything at once on this machine: `python -m tools.up`, or `nox -s up`.

A Prefect server with SQLite, the work pool, the deployments and a worker, until Ctrl-C; with
`--once` until the smoke runs are through. Database and logs are in `.prefect`; nothing else stays.

`__main__` is the command, `steps` what it does, `processes` starts and ends programs, `local` has
this machine's ports and the project's settings, `database` makes its database, `terminal` says what
goes on, `report` what ran, and `docker` is for `--docker`; `server_alone` is `nox -s server`.
"""
