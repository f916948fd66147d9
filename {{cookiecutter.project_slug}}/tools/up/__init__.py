"""Runs the whole stack on this machine: `python -m tools.up`, or `nox -s up`.

A Prefect server with SQLite, the work pool, the deployments and a worker run until Ctrl-C; with
`--once`, until the smoke runs end. Only the database and the logs in `.prefect` remain.

`__main__` is the command, `steps` has its steps, `processes` starts and ends programs, `local` has
ports and the project's settings, `database` creates its database, `terminal` prints messages,
`report` lists the runs, and `docker` is for `--docker`; `server_alone` is `nox -s server`.
"""
