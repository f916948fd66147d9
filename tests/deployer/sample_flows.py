"""Flows for catalogs: they are deployed, never run."""

from prefect import flow


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


FLOWS = [plain, anywhere, typed, bare]
