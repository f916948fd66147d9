# Stands in for prefecthq/prefect, which Prefect's default Dockerfile is built from: the same variables
# and uv, and all that the project requires, so that the installation there finds nothing to do.
FROM python:3.14-slim-trixie
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_SYSTEM_PYTHON=1
RUN python -m pip install --no-cache-dir uv
COPY requirements.txt /tmp/requirements.txt
RUN uv pip install --break-system-packages -r /tmp/requirements.txt
WORKDIR /opt/prefect
