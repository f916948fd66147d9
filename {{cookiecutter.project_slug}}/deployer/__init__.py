"""Deploys the catalog of a project to a Prefect server: plan, deploy, verify, roll back.

    from deployer import Deployment

is all that a catalog needs; `python -m deployer --help` lists the commands. The deployer knows two
files of the project that it serves: `deployments/catalog.py` says what is deployed, and
`deployments/environments.toml` where to.

A deploy runs like this:

1. `load` imports the catalog, and `check` refuses what is wrong with it before any request is sent.
2. `desired` turns it into specs: plain JSON that says all about a deployment (`spec`).
3. `refresh` reads the server once, and `plan` compares. Where nothing differs, that is all.
4. `lock` keeps other deployers away, `guards` refuse what nobody asked for.
5. `transaction` carries the plan out with `writers`: `flow.deploy()` forward, a recorded spec back.
6. `verify` waits for a worker and for the smoke runs.
7. What left the catalog is deleted, and `release` records on the server what was deployed.
   `environment_state` remembers the order of the pipeline's runs, and that a rollback holds.

Whatever fails puts back what was there (`deploy`). `server` reads and deletes, `api_errors` turns
the server's errors into sentences, `prefect_patches` holds all that is changed inside Prefect.
`cli` is the command line, `doctor` finds what is wrong between here and the runs; `setup`,
`destroy`, `export` and `serve` are commands of their own; `importing` is the one that writes a
catalog of what exists.

Importing any of these modules touches neither the network nor the environment.
"""

from deployer.catalog import Deployment

__version__ = "0.1.0"
__all__ = ["Deployment"]
