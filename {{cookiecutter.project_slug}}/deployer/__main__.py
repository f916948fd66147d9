"""`python -m deployer`."""

import gc
import sys

# Of the time to import Prefect a fifth is the collector looking at what stays anyway.
gc.set_threshold(100_000, 50, 100)

from deployer.cli import main  # noqa: E402

sys.exit(main())
