"""Prints what is installed beside it, as CycloneDX: `docker run IMAGE python -m deployer.sbom`.

Standard library only. https://cyclonedx.org/docs/1.6/json/ is the format.
"""
# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from importlib.metadata import distributions
from sysconfig import get_path
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5


def component(kind: str, name: str, version: str) -> dict[str, str]:
    """Return one component; its package URL says where it is from."""
    purl = f"pkg:{kind}/{quote(name)}@{quote(version, safe='')}"
    return {"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl}


def components() -> list[dict[str, str]]:
    """Return Python itself, its distributions and, where there are any, Debian's packages."""
    found = [component("generic", "python", platform.python_version())]
    # What the environment stands on has packages of its own: pip.
    base = get_path("purelib", vars={"base": sys.base_prefix})
    for each in distributions(path=[*sys.path, base]):
        name = re.sub(r"[-_.]+", "-", each.metadata["Name"]).lower()
        found.append(component("pypi", name, each.version))
    try:
        command = ["dpkg-query", "--show", "--showformat=${Package} ${Version}\\n"]
        installed = subprocess.check_output(command, text=True)  # noqa: S603
    except (FileNotFoundError, subprocess.CalledProcessError):
        installed = ""
    found += [component("deb/debian", *line.split(" ", 1)) for line in installed.splitlines()]
    return sorted({each["purl"]: each for each in found}.values(), key=lambda each: each["purl"])


def main() -> int:
    """Print the document; the same packages give the same one."""
    found = components()
    serial = uuid5(NAMESPACE_URL, "\n".join(each["purl"] for each in found))
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "components": found,
    }
    print(json.dumps(document, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
