from __future__ import annotations

import pytest

from bench.cold_build_steps import steps

# As BuildKit prints the steps of two stages that it builds in parallel.
PROGRESS = """\
#6 [build 3/3] RUN python -m venv --without-pip /opt/venv
#7 [runtime 2/3] RUN mkdir /work
#6 1.750 Successfully installed uv-0.9.5
#7 DONE 1.5s

#6 2.310 Resolved 97 packages in 12ms
#6 2.850 Installed 97 packages in 310ms
#6 DONE 7.2s

#9 exporting to image
#9 exporting layers 1.2s done
#9 DONE 1.2s
"""


def test_the_steps_of_a_build_are_divided_where_it_installs() -> None:
    install = "[build 3/3] RUN python -m venv --without-pip /opt/venv"
    assert steps(PROGRESS) == pytest.approx(
        {
            "[runtime 2/3] RUN mkdir /work": 1.5,
            f"{install}: until `Successfully installed`": 1.75,
            f"{install}: until `Installed`": 1.1,
            f"{install}: the rest": 4.35,
            "exporting to image": 1.2,
        }
    )
