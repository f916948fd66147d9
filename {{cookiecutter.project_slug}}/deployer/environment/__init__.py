"""Where the catalog is deployed to: one of the tables of deployments/environments.toml."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from deployer.environment.settings import FILLED, LABEL, Settings, validated
from deployer.errors import DeployerError
from deployer.images import FIRST
from deployer.project import FILE, read, record_keys, root
from deployer.rules import hint, shown

ORIGIN = "origin:"
RESERVED = ("environment:", "project:", ORIGIN)  # how the tags begin that mark what is ours


@dataclass(frozen=True)
class Environment(Settings):
    """One environment: its table's settings, and what it is called.

    Attributes:
        project: the name that marks this project's deployments on the server.
        name: the table's name, for a preview with its label: `preview-pr-7`.
        origin: the id that tells this project from others of its name; None where it has none.
        label: what replaces `{label}`; None where the environment takes no label.
        own_queue: whether `{label}` is in the queue's name, so that no other preview uses it.
        given_variables: job variables of the command line; they win over an entry's own.
        given_pool: whether the command line names the work pool; it wins over an entry's own.
        given_images: references of the command line, by the names that entries give to images.
    """

    project: str
    name: str
    origin: str | None = None
    label: str | None = None
    own_queue: bool = False
    given_variables: dict[str, Any] = field(default_factory=dict)
    given_pool: bool = False
    given_images: dict[str, str] = field(default_factory=dict)

    @property
    def marks(self) -> list[str]:
        """The tags of project and environment; nothing without both is ever touched."""
        return [f"environment:{self.name}", f"project:{self.project}"]

    @property
    def tags(self) -> list[str]:
        """The tags that are given to each deployment, to say whose it is."""
        return [*self.marks, *([ORIGIN + self.origin] if self.origin else [])]

    def owns(self, tags: list[str]) -> bool:
        """Whether a deployment with our marks and these tags is ours; one without an origin is."""
        found = origins(tags)
        return not found or self.origin in found

    @property
    def keys(self) -> list[str]:
        """The names of what is recorded on the server: the one to write, and an older one."""
        return record_keys(self.project, self.name, self.origin)

    @property
    def key(self) -> str:
        """The name of what is recorded on the server from now on."""
        return self.keys[0]

    @property
    def queue(self) -> str:
        """The name of the work queue."""
        return self.work_queue or "default"

    def pool(self, own: str | None) -> str:
        """Return the name of the work pool of an entry, which may name its own."""
        return self.work_pool if own is None or self.given_pool else own

    def image(self, name: str | None) -> str | None:
        """Return the reference of the image that an entry runs; None runs the working tree."""
        return self.given_images.get(name or FIRST)

    @property
    def table(self) -> str:
        """The table's name: `preview`, whatever its label."""
        return self.name.removesuffix(f"-{self.label}")

    @property
    def setup(self) -> str:
        """The command that creates what it needs."""
        label = f" --label {self.label}" if self.label else ""
        return f"python -m deployer setup {self.table}{label}"

    @property
    def wants_label(self) -> bool:
        """Whether there is one of it for each label."""
        return any("{label}" in (getattr(self, key) or "") for key in FILLED)


def ordered(tags: Iterable[str]) -> list[str]:
    """Return tags without twins in the order in which they are written: ours are the last."""
    return sorted({*tags}, key=lambda tag: (tag.startswith(RESERVED), tag))


def origins(tags: list[str]) -> set[str]:
    """Return the ids of the projects that these tags name; there is none in older ones."""
    return {tag.removeprefix(ORIGIN) for tag in tags if tag.startswith(ORIGIN)}


def load() -> dict[str, Environment]:
    """Read the project's environments.toml.

    Returns:
        The environments by name, in the order of the file, which is the order of promotion.

    Raises:
        DeployerError: with everything that is wrong with the file.
    """
    file = validated(read(root()))
    tables = file.__pydantic_extra__.items()
    origin = file.origin
    return {name: Environment(file.project, name, origin, **vars(table)) for name, table in tables}


def images() -> list[str]:
    """Return the names of the images that an entry may run instead of the first one.

    Raises:
        DeployerError: with everything that is wrong with environments.toml.
    """
    return list(validated(read(root())).images)


def image_problem(name: Any, known: Iterable[str]) -> str | None:
    """Say why a deployment cannot run an image of this name, where these are known."""
    known = list(known)
    if name in known:
        return None
    helps = hint(name, known, 'add it there: gpu = "gpu" is the stage gpu of the Dockerfile.')
    return f"there is no image {shown(name)} in [images] of {FILE}; {helps}"


def serving() -> Environment:
    """Return the environment of `serve`, which has no table: its deployments have no work pool.

    Raises:
        DeployerError: with everything that is wrong with the file.
    """
    file = validated(read(root()))
    return Environment(file.project, "serve", file.origin, work_pool="", name_suffix="-serve")


def select(
    environments: dict[str, Environment], name: str, label: str | None, *, shared: bool = False
) -> Environment:
    """Pick one environment and fill `{label}` in.

    Args:
        environments: what `load` returned.
        name: the environment.
        label: what `{label}` stands for, such as `pr-7`; None where nothing asks for it.
        shared: without a label it is what all labels share: the work pool, and not a queue each.

    Raises:
        DeployerError: there is no such environment, or the label is missing or not needed.
    """
    if name not in environments:
        known = ", ".join(environments)
        raise DeployerError(f"There is no environment {name!r} in {FILE}: choose one of {known}.")
    chosen = environments[name]
    if chosen.wants_label and label is None:
        if shared:
            own_queue = "{label}" in (chosen.work_queue or "")
            return replace(chosen, work_queue=None) if own_queue else chosen
        raise DeployerError(f"The environment {name!r} needs --label: add --label pr-7 to {name}.")
    if label is None:
        return chosen
    if not chosen.wants_label:
        raise DeployerError(f"The environment {name!r} takes no --label: leave --label out.")
    if not LABEL.fullmatch(label) or len(label) > 40:
        raise DeployerError(
            f"--label {shown(label)} is no label for the environment {name!r}: "
            "use up to 40 of a-z, 0-9 and -, such as pr-7."
        )
    full = f"{name}-{label}"
    for other in environments.keys() - {name}:
        longer = environments[other].wants_label and len(other) > len(name)  # which it belongs to
        if full == other or (longer and full.startswith(f"{other}-")):
            raise DeployerError(
                f"--label {label!r} makes {name} share {full} with [{other}] of {FILE}: "
                "choose another label."
            )
    filled: dict[str, Any] = {
        key: value.replace("{label}", label) for key in FILLED if (value := getattr(chosen, key))
    }
    own_queue = "{label}" in (chosen.work_queue or "")
    return replace(chosen, **filled, name=full, label=label, own_queue=own_queue)
