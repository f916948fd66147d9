"""`python -m deployer`."""

import sys

from deployer import patches

patches.collect_garbage_rarely()
patches.read_time_zones_from_package()

from deployer.cli import main  # noqa: E402 - importing Prefect is what the first two make faster

code = main()
patches.skip_last_collection()
sys.exit(code)
