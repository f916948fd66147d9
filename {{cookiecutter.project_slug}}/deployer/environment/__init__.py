"""The environments that the catalog is deployed to: tables of deployments/environments.toml."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from deployer.environment.settings import FILLED, LABEL, Settings, validated
from deployer.errors import DeployerError
from deployer.image_references import DEFAULT
from deployer.project import FILE, read, record_keys, root
from deployer.rules import hint, shown

ORIGIN = "origin:"
RESERVED = ("environment:", "project:", ORIGIN)  # prefixes of the tags that mark what is ours


@dataclass(frozen=True)
class Environment(Settings):
    """One environment: the settings of its table, its names, and options of the command line.

    Attributes:
        project: the name that marks this project's deployments on the server.
        name: the table's name; for a preview with its label: `preview-pr-7`.
        origin: the id that distinguishes this project from others of its name; None without one.
        label: what replaces `{label}`; None if the environment takes no label.
        own_queue: whether `{label}` is in the queue's name, so that no other preview uses it.
        given_variables: job variables from the command line; they override an entry's own.
        given_pool: whether the command line names the work pool; it overrides an entry's own.
        given_images: image references from the command line, by the names that entries use.
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
        """The tags of project and environment; a deployment that lacks one is not ours."""
        return [f"environment:{self.name}", f"project:{self.project}"]

    @property
    def tags(self) -> list[str]:
        """The tags that each deployment gets, to mark whose it is."""
        return [*self.marks, *([ORIGIN + self.origin] if self.origin else [])]

    def owns(self, tags: list[str]) -> bool:
        """Whether a deployment with our marks is ours: these tags have our origin, or none."""
        found = origins(tags)
        return not found or self.origin in found

    @property
    def keys(self) -> list[str]:
        """The names of the records on the server: the one to write, then the one without origin."""
        return record_keys(self.project, self.name, self.origin)

    @property
    def key(self) -> str:
        """The name of the records that are written to the server."""
        return self.keys[0]

    @property
    def queue(self) -> str:
        """The name of the work queue."""
        return self.work_queue or "default"

    def pool(self, own: str | None) -> str:
        """Return the name of the work pool of an entry; `own` is the one that the entry names."""
        return self.work_pool if own is None or self.given_pool else own

    def image(self, name: str | None) -> str | None:
        """Return the reference of the image that an entry runs; None for the working tree."""
        return self.given_images.get(name or DEFAULT)

    @property
    def table(self) -> str:
        """The table's name: `preview`, whatever its label."""
        return self.name.removesuffix(f"-{self.label}")

    @property
    def setup(self) -> str:
        """The command that creates what the environment needs."""
        label = f" --label {self.label}" if self.label else ""
        return f"python -m deployer setup {self.table}{label}"

    @property
    def wants_label(self) -> bool:
        """Whether the environment is for previews, one for each label."""
        return any("{label}" in (getattr(self, key) or "") for key in FILLED)


def ordered(tags: Iterable[str]) -> list[str]:
    """Return tags without duplicates, in the order in which they are written: ours come last."""
    return sorted({*tags}, key=lambda tag: (tag.startswith(RESERVED), tag))


def origins(tags: list[str]) -> set[str]:
    """Return the ids of the projects that these tags name; older deployments have none."""
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
    """Return the names of the images that an entry may run instead of the default one.

    Raises:
        DeployerError: with everything that is wrong with environments.toml.
    """
    return list(validated(read(root())).images)


def image_problem(name: Any, known: Iterable[str]) -> str | None:
    """Say why a deployment cannot run an image of this name, if it is not a known one."""
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
    """Pick one environment and replace `{label}` in its settings.

    Args:
        environments: what `load` returned.
        name: the environment.
        label: what replaces `{label}`, such as `pr-7`; None if the environment takes none.
        shared: if the label is missing, return what all previews share, without a queue of its own.

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
        longer = environments[other].wants_label and len(other) > len(name)
        if full == other or (longer and full.startswith(f"{other}-")):  # the name belongs to other
            raise DeployerError(
                f"--label {label!r} makes the name {full}, which belongs to [{other}] of {FILE}: "
                "choose another label."
            )
    filled: dict[str, Any] = {
        key: value.replace("{label}", label) for key in FILLED if (value := getattr(chosen, key))
    }
    own_queue = "{label}" in (chosen.work_queue or "")
    return replace(chosen, **filled, name=full, label=label, own_queue=own_queue)
