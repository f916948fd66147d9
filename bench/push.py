"""From a push to deployments in production: our workflow and the one of Prefect's docs page."""

from __future__ import annotations

from collections.abc import Generator

from bench.measure import rounds
from bench.pulls import pull, store_uncached
from bench.repositories import CACHED, PAGE, Place, Side, sides, without_cache
from bench.samples import OURS, Sample
from bench.servers import settle

HOW = """\
Seconds from the start of act to its end. Both workflows use one server and one registry, the same
flows, the same three deployments, the same requirements and one environment. Ours is the generated
`deploy.yml` without its tests job, with a catalog without smoke runs; scan and attestation are
stand-ins that take no time. Prefect's is the workflow of its page on CI/CD, with `flow.deploy()`
for each deployment and Prefect's default Dockerfile. Its base image is a stand-in that has all
requirements installed, without the compiler and git that the real one has, so the real image is
larger. The first push of each side builds its image without the cache of earlier builds. After each
push the benchmark checks the registry and the server.

Not included is the time that GitHub needs to start a machine for a job (ours has several jobs,
Prefect's one) and to pull images: the engine here keeps the layers of the last build. On GitHub,
our deploy pulls its image; the page's workflow pulls the base of its build, which is nearly all of
the image. Machines that run flows pull the image too. The row "image that a machine pulls" has the
compressed size of all layers, and the seconds of `docker pull` by an engine that has no layer of
the image. For this the registry has a copy with other layer digests, which is removed from the
engine after each pull. The pull uses loopback, so a real network takes longer.
"""
FIRST, CODE, README = "first push", "one flow changed", "README only"
IMAGE = "image that a machine pulls"
EDITED = {CODE: "flows/basic_flow.py", README: "README.md"}


def measure(repeat: int) -> Generator[Sample]:
    """Yield the seconds of each push and pull, and the size of the image."""
    with sides() as (place, made):
        both = [OURS, PAGE]
        for who in (*both, CACHED):  # the first push of CACHED only fills its cache
            with without_cache():
                seconds = take(place, made[who], FIRST)
            if who in both:
                yield Sample(FIRST, "s", who, seconds)
                size = place.registry.size(*reference(place, made[who]))
                yield Sample(IMAGE, "MB", who, size / 1e6)
        for turns in rounds([*both, CACHED], repeat):
            for case in EDITED:
                for who in turns:
                    if who in both or case == CODE:
                        yield Sample(case, "s", who, take(place, made[who], case))
        names = {who: store_uncached(place.registry, *reference(place, made[who])) for who in both}
        for turns in rounds(both, repeat):
            for who in turns:
                yield Sample(IMAGE, "s", who, pull(names[who]))


def reference(place: Place, side: Side) -> tuple[str, str]:
    """Return the repository and the digest or tag of the image that a side has deployed."""
    name = place.image(side).removeprefix(f"{place.registry.address}/")
    package = side.repository.package
    return package, name.removeprefix(package)[1:]


def take(place: Place, side: Side, case: str) -> float:
    """Push one change, and return the seconds that it took.

    Raises:
        RuntimeError: the server or the registry is not in the expected state.
    """
    package = side.repository.package
    tags, before = place.registry.tags(package), place.rows(side)
    if case in EDITED:
        side.add_line(EDITED[case])
    settle(place.server)
    seconds = side.push()
    added = [tag for tag in place.registry.tags(package) if tag not in tags]
    if case == README and side.who == OURS:
        right = not added and place.rows(side) == before
    else:
        (tag,) = added
        digest = place.registry.digest(package, tag)
        right = reference(place, side) == (package, tag if side.suffix else digest)
    if not right:
        raise RuntimeError(f"{side.who}, {case}: pushed {added}, but another image is deployed")
    return seconds
