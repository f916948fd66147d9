# A stand-in for prefecthq/prefect, the base of Prefect's default Dockerfile, which the benchmark does not pull. It has
# the same variables, Python and uv, but not git and the compiler of that image.
ARG PYTHON
FROM ${PYTHON} AS plain
ARG UV
ENV LC_ALL=C.UTF-8 LANG=C.UTF-8 UV_LINK_MODE=copy UV_SYSTEM_PYTHON=1
RUN python -m pip install --no-cache-dir --no-compile ${UV}
WORKDIR /opt/prefect

# With the project's requirements, so that the default Dockerfile has nothing left to install.
# Without uv's cache and with bytecode, as Prefect's own Dockerfile installs Prefect.
FROM plain AS filled
COPY requirements.txt /tmp/requirements.txt
RUN UV_COMPILE_BYTECODE=1 uv pip install --no-cache --break-system-packages -r /tmp/requirements.txt
