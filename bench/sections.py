"""All benchmarks, in the order of the report."""

from functools import partial

from bench import deploys, first_hour, generate, images, push, rollback, starts
from bench.report import Part, Section

DOCKER, POSTGRES = "Docker", "PostgreSQL"
# Rounds by number of deployments. The largest deploys take minutes per command.
ROUNDS = {1: 3, 10: 3, 100: 3, 500: 1}
SCHEDULES = (0, 1, 2)
# Other servers, measured with 100 deployments of 2 schedules: name -> (PostgreSQL, zones).
SERVERS = {"zones": (False, True), "postgres": (True, False)}

DEPLOYS = [
    Part(
        f"deploy-{size}-{schedules}",
        partial(deploys.measure, size=size, schedules=schedules),
        rounds,
        quick=int((size, schedules) == (10, 1)),
    )
    for size, rounds in ROUNDS.items()
    for schedules in SCHEDULES
]
DEPLOYS += [
    Part(
        f"deploy-100-2-{name}",
        partial(deploys.measure, size=100, schedules=2, postgres=postgres, zones=zones),
        ROUNDS[100],
        needs=POSTGRES if postgres else "",
    )
    for name, (postgres, zones) in SERVERS.items()
]
SECTIONS = [
    Section("Generate a project", generate.HOW, [Part("generate", generate.measure, 5, quick=3)]),
    Section("Deploy", deploys.HOW, DEPLOYS, "growth"),
    Section("Image", images.HOW, [Part("image", images.measure, 3, needs=DOCKER)], "bytes"),
    Section("Start", starts.HOW, [Part("start", starts.measure, 10, needs=DOCKER)], "starts"),
    Section("Push to production", push.HOW, [Part("push", push.measure, 3, needs=DOCKER)]),
    Section("Rollback", rollback.HOW, [Part("rollback", rollback.measure, 4, needs=DOCKER)]),
    Section("First hour", first_hour.HOW, [Part("first-hour", first_hour.measure, 3)]),
]
