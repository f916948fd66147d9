"""Decides which image may run with an environment's credentials. Standard library only.

A tag does not prove who built an image: anyone who may push to the repository can push to its
packages. So an image needs a proof, and only this module decides what counts as one.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

from deployer.errors import DeployerError
from tools import records
from tools.gh import gh
from tools.workflow_settings import DIGEST, Settings

WORKFLOW = ".github/workflows/deploy.yml"
BRANCH = "refs/heads/main"


def digest_in(image: str, package: str) -> str:
    """Return the digest of an image, which has to be of this package.

    Raises:
        DeployerError: it is of another package, or has no digest.
    """
    name, _, digest = image.partition("@")
    if name != package and not name.startswith(f"{package}:"):
        raise DeployerError(
            f"The image {image} is refused: only images of {package} are accepted. "
            "A pull request's image is only for its preview: merge the pull request, and main "
            "builds an image."
        )
    if name != package or not DIGEST.fullmatch(digest):
        raise DeployerError(
            f"The image {image} is refused: it has no digest, and a tag can change. "
            f"Give it as {package}@sha256:…"
        )
    return digest


def attested(image: str, settings: Settings) -> None:
    """Check that deploy.yml attested on main that it built the image.

    Raises:
        DeployerError: it did not, or `gh` cannot verify it.
    """
    repository = settings.repository
    gh(
        *("attestation", "verify", f"oci://{image}", "--repo", repository),
        *("--signer-workflow", f"{repository}/{WORKFLOW}", "--source-ref", BRANCH),
    )


def proof(
    image: str,
    settings: Settings,
    built: Collection[str] = (),
    environ: Mapping[str, str] = os.environ,
) -> str:
    """Return, in words, the proof that an image may be run as a release.

    Args:
        image: its name, with a digest.
        settings: of the workflow's run.
        built: the digests that an earlier job of this run built and pushed.
        environ: how to reach the Prefect server, where the releases are recorded.

    Raises:
        DeployerError: nothing proves it; the error says what was checked.
    """
    digest = digest_in(image, settings.release)
    if settings.attests:
        try:
            attested(image, settings)
        except DeployerError as error:
            raise DeployerError(
                f"The image {image} is refused: nothing proves that {WORKFLOW} built it on main. "
                f"{error} Run deploy.yml on main: it builds the image and attests it."
            ) from None
        return f"attested by {WORKFLOW} on main"
    if digest in built:
        return "built by this run"
    for each in records.of_environments(environ):
        if image in each.images:
            return f"release {each.number} of {each.environment}"
    raise DeployerError(
        f"The image {image} is refused: this run did not build it, and no release on the server "
        "names it. There are no attestations here (they need a public repository, or GitHub "
        "Enterprise Cloud and the variable ATTESTATIONS): run deploy.yml without an image."
    )
