"""The entry point of `python -m deployer`."""

import sys

from deployer import prefect_patches
from deployer.alive import alive

prefect_patches.collect_garbage_rarely()

with alive(" ".join(["deployer", *sys.argv[1:2]])):
    from deployer.cli import main  # slow, so it runs inside `alive`

    code = main()
prefect_patches.skip_last_collection()
sys.exit(code)
