"""Looks whether a deploy left nothing to do, and notes it for the next push of the same images."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from deployer import environment_state, refresh, unchanged
from deployer.desired import Desired
from deployer.environment import Environment
from deployer.server import Server


async def remember(
    server: Server,
    want: Callable[[Server], Awaitable[tuple[Environment, Desired]]],
    given: str,
    order: int | None,
) -> None:
    """Read and compare everything once more, and note what was read if nothing differs.

    Args:
        server: where the deploy has come to its end.
        want: gives what it was to reach, and reads what that depends on.
        given: what was deployed, as `unchanged.given` says it.
        order: id of the pipeline's run.
    """
    with server.listening() as heard:
        environment, desired = await want(server)
        found = await refresh.refresh(server, environment, desired)
    plain = found.plan.empty and not found.plan.notes and found.state.hold is None
    if plain and (noted := unchanged.note(given, heard, order)):
        await environment_state.note(server, environment, noted)
