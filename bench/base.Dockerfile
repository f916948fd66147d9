# Stands in for prefecthq/prefect, which Prefect's default Dockerfile is built from and which is not pulled here: the
# same variables and uv on the same Python. git and a compiler, which that image has too, are left out.
ARG PYTHON
FROM ${PYTHON} AS plain
ARG UV
ENV LC_ALL=C.UTF-8 LANG=C.UTF-8 UV_LINK_MODE=copy UV_SYSTEM_PYTHON=1
RUN python -m pip install --no-cache-dir --no-compile ${UV}
WORKDIR /opt/prefect

# With all that the project requires, so that the installation in the default Dockerfile finds nothing to do.
FROM plain AS filled
ENV UV_COMPILE_BYTECODE=1
COPY requirements.txt /tmp/requirements.txt
RUN uv pip install --break-system-packages -r /tmp/requirements.txt
