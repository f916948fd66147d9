"""Commands that support the deployer and are not part of the image.

For the pipeline and a laptop, with the standard library only: `environments` lists the
environments, `image` and `build` name and build images, `install` installs packages.
For the workflows: `preflight` checks what a job lacks, `pipeline` has steps for the image, `bake`
defines how the other images are built, `trust` decides which image may run with credentials, and
`run` runs it, unless `unchanged` finds that nothing differs. `records` reads the recorded releases,
`prefect_api` sends requests to the server, `workflow_settings` has the packages' names, `gh` runs
GitHub's command line, `github` writes comments and issues, `report` an issue about a workflow that
fails, `vulnerabilities` and `renew` check images, `update` merges the template's changes and
`proposal` opens a pull request with them.
For a laptop: `up` starts the whole stack, and `setup_github` configures the repository:
`github_protection` decides what to set, `github_credentials` finds the values.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
