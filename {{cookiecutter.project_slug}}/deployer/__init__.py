"""Deploys the catalog of a project to a Prefect server: plan, deploy, verify, roll back.

    from deployer import Deployment

is all that a catalog imports from here; `python -m deployer --help` lists the commands. The
deployer reads two files of the project: `deployments/catalog.py` declares the deployments, and
`deployments/environments.toml` declares the environments that they are deployed to.

A deploy has these steps:

1. `load` imports the catalog, and `check` reports what is wrong with it before any request is sent.
2. `desired` turns it into specs (`spec`): plain JSON that describes a deployment completely.
3. `refresh` reads the server once, and `plan` compares. If there is nothing to write, that is all.
4. `lock` keeps other deployers out, `guards` refuse changes that need an option or an approval.
5. `transaction` carries the plan out with `writers`, which call `flow.deploy()`. To restore or to
   roll back, they write a recorded spec instead.
6. `verify` waits for a worker and for the smoke runs.
7. Deployments that are no longer in the catalog are deleted, and `release` records the release on
   the server. `environment_state` stores the newest pipeline run, and whether a rollback holds.

If a step fails, `deploy` puts back what was there. `server` reads and deletes, `api_errors`
explains the server's errors, and `prefect_patches` contains every change to the inside of Prefect.
`cli` is the command line. `doctor` finds problems with the server, the workers and the image.
`setup`, `destroy`, `export` and `serve` are commands; `importing` is the one that writes a catalog.

Importing any of these modules sends no request and changes no environment variable.
"""

from deployer.catalog import Deployment

__version__ = "0.1.0"
__all__ = ["Deployment"]
