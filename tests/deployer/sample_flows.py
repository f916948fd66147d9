"""Flows for catalogs. They are deployed but never run."""

from datetime import date
from typing import Any

from prefect import flow
from pydantic import BaseModel, Field


@flow
def plain() -> None:
    """Do nothing."""


@flow(name="数据 流程 🚀")
def anywhere(rows: int = 1, label: str = "x") -> None:
    """Do nothing in any script."""


@flow(name="typed flow", version="7")
def typed(items: list[int], ratio: float = 0.5, note: str | None = None) -> None:
    """Do nothing with types.

    Args:
        items: some numbers.
        ratio: a share.
        note: a remark.
    """


@flow
def bare() -> None:  # noqa: D103 - a flow without a docstring
    pass


class Lenient(BaseModel):
    """A model with a default."""

    size: int = 2


class Aliased(BaseModel):
    """A model whose field has another name in JSON."""

    number: int = Field(alias="theNumber")
    inner: Lenient


@flow(name="a flow that one test alone uses")
def own(rows: int = 1) -> None:
    """Do nothing."""


@flow
def anything(x: Any = 5) -> None:
    """Do nothing with whatever there is."""


@flow
def modelled(model: Aliased) -> None:
    """Do nothing with a model."""


@flow
def dated(day: date) -> None:
    """Do nothing on a day."""


def make() -> Any:
    """Return a flow that a worker cannot find by the name of its function."""

    @flow(name="a flow that a function made")
    def inner() -> None:
        """Do nothing."""

    return inner


made = make()
FLOWS = [plain, anywhere, typed, bare]
