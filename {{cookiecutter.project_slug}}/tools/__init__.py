"""What runs beside the deployer and is not in the image.

On the pipeline's runner and on a laptop, without any package: `environments` lists the
environments, `image` and `build` name and build the image, `github` writes comments and issues,
`install` installs packages. On a laptop only: `up` starts everything on this machine.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
