"""`python -m deployer`."""

import sys

from deployer import prefect_patches

prefect_patches.collect_garbage_rarely()

from deployer.cli import main  # noqa: E402 - it makes the import of Prefect faster

code = main()
prefect_patches.skip_last_collection()
sys.exit(code)
