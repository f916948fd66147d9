"""From a push to the deployments in production: our workflow beside the one of Prefect's page."""

from __future__ import annotations

from collections.abc import Generator

from bench.measure import rounds
from bench.pulls import pull, unknown
from bench.repositories import CACHED, PAGE, Place, Side, sides
from bench.samples import OURS, Sample
from bench.servers import settle

HOW = """\
From the start of act to its end, both workflows against one server and one registry, with the
same flows, the same three deployments, the same requirements and one environment. Ours is
`deploy.yml` as generated without its tests job, and a catalog without smoke runs; scan and
attestation are stand-ins that take no time; Prefect's is the workflow of its page on CI/CD,
with `flow.deploy()` for each deployment and Prefect's default Dockerfile. Its base image is a
stand-in in which all requirements are installed already. Registry and server are looked at after
each push.

GitHub's own time is in neither: finding a machine for a job (ours has several, Prefect's one),
and pulling. The engine here keeps the layers of the last build. On GitHub a deploy of ours pulls
its image, the page's builds its own on a base that it pulls, nearly all of the image, and so do
the machines that run flows. MB is what a registry sends, layers as they are compressed. The
seconds are those of `docker pull` by an engine that has nothing of the image, its base included:
the registry has it once more for that, in layers of other digests, and it is removed after each
pull. It comes over loopback, so they are of unpacking and writing; a network's time comes on top.
"""
FIRST, CODE, README = "first push", "one flow changed", "README only"
IMAGE = "image that a machine pulls"
EDITED = {CODE: "flows/basic_flow.py", README: "README.md"}


def measure(repeat: int) -> Generator[Sample]:
    """Yield the seconds of each push and pull, and the size of what is pulled."""
    with sides() as (place, made):
        both = [PAGE, OURS]
        for who in (*both, CACHED):  # which fills its cache, and deploys what the page deployed
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
        names = {who: unknown(place.registry, *reference(place, made[who])) for who in both}
        for turns in rounds(both, repeat):
            for who in turns:
                yield Sample(IMAGE, "s", who, pull(names[who]))


def reference(place: Place, side: Side) -> tuple[str, str]:
    """Return repository and digest or tag of what a side has deployed."""
    name = place.image(side).removeprefix(f"{place.registry.address}/")
    package = side.repository.package
    return package, name.removeprefix(package)[1:]


def take(place: Place, side: Side, case: str) -> float:
    """Push one change, and return the seconds that it took.

    Raises:
        RuntimeError: the server or the registry does not hold what it should.
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
        raise RuntimeError(f"{side.who}, {case}: {added} was pushed, not what is deployed")
    return seconds
