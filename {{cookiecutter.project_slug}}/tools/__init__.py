"""What runs beside the deployer and is not in the image.

On the pipeline's runner and on a laptop, without any package: `environments` lists the
environments, `image` and `build` name and build images, `install` installs packages.
For the workflows: `preflight` says what a job lacks, `pipeline` is what the image job does, `bake`
says how images beside the first one are built, `trust` decides which image may be run with
credentials and `run` runs it, unless `unchanged` sees that nothing differs. `records` reads what
was released, `prefect_api` asks the server, `workflow_settings` knows the packages' names, `github`
writes comments and issues, `vulnerabilities` and `renew` look after images, `update` brings what is
new in the template and `proposal` makes a pull request of it.
On a laptop only: `up` starts everything here, and `setup_github` sets the repository up:
`github_protection` decides what is to be set, `github_credentials` finds the values.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
