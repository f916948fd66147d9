"""After a deploy, check that nothing differs, and note it for the next push of the same images."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from deployer import environment_state, refresh, unchanged
from deployer.desired import Desired
from deployer.environment import Environment
from deployer.server import Server


async def note_if_unchanged(
    server: Server,
    want: Callable[[Server], Awaitable[tuple[Environment, Desired]]],
    deploy_hash: str,
    order: int | None,
) -> None:
    """Read and compare everything once more; if nothing differs, note the requests and answers.

    Args:
        server: where the deploy was made.
        want: returns the environment and what is desired, and reads from the server for that.
        deploy_hash: what was deployed: the hash from `unchanged.deploy_hash`.
        order: id of the pipeline run.
    """
    with server.recording() as exchanges:
        environment, desired = await want(server)
        found = await refresh.refresh(server, environment, desired)
    differs = not found.plan.empty or found.plan.notes or found.state.hold
    nothing_to_do = not differs and not found.locked  # the lock is among the answers
    if nothing_to_do and (noted := unchanged.note(deploy_hash, exchanges, order)):
        await environment_state.note(server, environment, noted)
