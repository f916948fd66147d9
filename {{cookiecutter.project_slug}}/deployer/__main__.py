"""`python -m deployer`."""

import gc
import sys
import zoneinfo
from functools import cache

# Of the time to import Prefect a fifth is the collector looking at what stays anyway.
gc.set_threshold(100_000, 50, 100)

# Prefect looks for each schedule's time zone in all of them, which it reads from 600 files.
zoneinfo.available_timezones = cache(zoneinfo.available_timezones)

from deployer.cli import main  # noqa: E402

code = main()
# At the end it would look once more, and take apart one by one what the system frees at once.
gc.freeze()
sys.exit(code)
