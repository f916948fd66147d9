"""What runs beside the deployer, on a laptop and on the pipeline's runner, and is not in the image.

`environments` lists the environments, `image` and `build` name and build the image, `github` writes
comments and issues, `install` installs packages: the runner has no packages for these. `up` starts
everything on this machine.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
