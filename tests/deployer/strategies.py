"""Hypothesis strategies: arbitrary catalogs, resources and manual edits on the server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from deployer.catalog import Deployment
from deployer.resources import key
from hypothesis import strategies as st
from prefect.automations import Automation, CompoundTrigger, EventTrigger, SequenceTrigger
from prefect.client.schemas.actions import (
    ConcurrencyLimitCreate,
    GlobalConcurrencyLimitCreate,
    VariableCreate,
)
from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.events import DeploymentEventTrigger
from prefect.events.actions import (
    CancelFlowRun,
    ChangeFlowRunState,
    DoNothing,
    PauseWorkPool,
    RunDeployment,
)
from prefect.schedules import Cron, Interval, RRule, Schedule

from tests.deployer.sample_flows import FLOWS, anywhere, typed

NAMES = st.sampled_from(["hourly", "每小时", "two words", "rocket 🚀", "dash-ed", "a.b"])
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12)
TAGS = st.lists(
    st.text("abc 标🚀", min_size=1, max_size=4).filter(str.strip), max_size=3, unique=True
)
ZONES = st.sampled_from([None, "UTC", "Europe/Berlin", "America/New_York", "Asia/Shanghai"])
ANCHORS = st.sampled_from([None, datetime(2024, 2, 29, 12, tzinfo=UTC)])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab"), inner, max_size=2),
    max_leaves=4,
)


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    """Any kind of schedule."""
    active, zone = draw(st.booleans()), draw(ZONES)
    slug = draw(st.none() | st.sampled_from(["morning", "夜"]))
    kind = draw(st.sampled_from(["cron", "interval", "rrule"]))
    if kind == "cron":
        text = draw(st.sampled_from(["0 3 * * *", "*/5 * * * 1-5", "@daily"]))
        return Cron(text, timezone=zone, active=active, slug=slug, day_or=draw(st.booleans()))
    if kind == "rrule":
        text = draw(st.sampled_from(["FREQ=DAILY", "FREQ=WEEKLY;BYDAY=MO,FR"]))
        return RRule(text, timezone=zone, active=active, slug=slug)
    each: list[float | timedelta] = [60, 3600.5, timedelta(days=1)]
    every = draw(st.sampled_from(each))
    return Interval(every, timezone=zone, active=active, slug=slug, anchor_date=draw(ANCHORS))


@st.composite
def entries(draw: st.DrawFn, flow: Any, name: str) -> Deployment:
    """A valid catalog entry."""
    options: dict[str, Any] = {}
    found = draw(st.lists(schedules(), max_size=3))
    slugs = [each.slug or f"schedule-{n}" for n, each in enumerate(found, 1)]
    if len(set(slugs)) == len(slugs) and found:
        options["schedules"] = found
    if flow is anywhere:
        options["parameters"] = draw(
            st.fixed_dictionaries({}, optional={"rows": st.integers(0, 9)})
        )
    if flow is typed:
        options["parameters"] = {"items": draw(st.lists(st.integers(0, 9), max_size=3))}
    for option, values in {
        "tags": TAGS,
        "description": TEXT,
        "version": st.text("0123.", min_size=1, max_size=4),
        "paused": st.booleans(),
        "enforce_parameter_schema": st.booleans(),
        "work_queue_name": st.sampled_from(["fast", "慢"]),
        "job_variables": st.dictionaries(
            st.just("env"), st.dictionaries(st.text("AB", min_size=1), TEXT, max_size=2)
        ),
        "concurrency_limit": st.integers(1, 3)
        | st.builds(
            ConcurrencyLimitConfig,
            limit=st.integers(1, 3),
            collision_strategy=st.sampled_from(["ENQUEUE", "CANCEL_NEW"]),
        ),
        "triggers": st.builds(
            lambda event: [
                DeploymentEventTrigger(name="a trigger", expect={event}, parameters={"rows": 2})
            ],
            st.sampled_from(["file.arrived", "table.updated"]),
        ),
    }.items():
        if draw(st.integers(0, 3)) == 0:
            options[option] = draw(values)
    return Deployment(flow, name, **options)


@st.composite
def catalogs(draw: st.DrawFn, max_size: int = 4) -> list[Deployment]:
    """A catalog without duplicate names."""
    pairs = st.tuples(st.integers(0, len(FLOWS) - 1), NAMES)
    chosen = draw(st.lists(pairs, max_size=max_size, unique=True))
    return [draw(entries(FLOWS[index], name)) for index, name in chosen]


EVENTS = st.sets(st.sampled_from(["a.b", "b.a", "x.*", "标"]), min_size=1)
ACTIONS = (
    st.builds(DoNothing)
    | st.builds(CancelFlowRun)
    | st.builds(ChangeFlowRunState, state=st.sampled_from(["CANCELLED", "PAUSED"]), message=TEXT)
    | st.builds(PauseWorkPool, source=st.just("inferred"))
    | st.builds(
        RunDeployment,
        source=st.just("inferred"),
        parameters=st.none() | st.dictionaries(st.sampled_from(["id", "expect"]), JSON),
    )
)
TRIGGERS = st.recursive(
    st.builds(
        EventTrigger,
        expect=EVENTS,
        after=EVENTS,
        for_each=EVENTS,
        match=st.just({}) | st.just({"id": ["b", "a"]}),
        posture=st.sampled_from(["Reactive", "Proactive"]),
        threshold=st.integers(1, 9),
        within=st.integers(10, 99).map(lambda seconds: timedelta(seconds=seconds)),
    ),
    lambda inner: (
        st.builds(
            CompoundTrigger,
            triggers=st.lists(inner, min_size=1, max_size=2),
            require=st.sampled_from(["any", "all", 1]),
            within=st.just(60),
        )
        | st.builds(
            SequenceTrigger, triggers=st.lists(inner, min_size=2, max_size=2), within=st.just(60)
        )
    ),
    max_leaves=3,
)
RESOURCE: st.SearchStrategy[Any] = (
    st.builds(VariableCreate, name=st.sampled_from(["regions", "a-b"]), value=JSON, tags=TAGS)
    | st.builds(
        GlobalConcurrencyLimitCreate,
        name=NAMES,
        limit=st.integers(0, 9),
        active=st.booleans(),
        slot_decay_per_second=st.sampled_from([0.0, 0.5, 2.0]),
    )
    | st.builds(ConcurrencyLimitCreate, tag=NAMES, concurrency_limit=st.integers(0, 9))
    | st.builds(
        Automation,
        name=NAMES,
        description=TEXT,
        enabled=st.booleans(),
        tags=TAGS,
        trigger=TRIGGERS,
        actions=st.lists(ACTIONS, min_size=1, max_size=2),
        actions_on_trigger=st.lists(ACTIONS, max_size=1),
    )
)


def resources() -> st.SearchStrategy[list[Any]]:
    """Any Variables, limits and automations without duplicates of kind and name."""
    return st.lists(RESOURCE, max_size=3, unique_by=key)


def edits() -> st.SearchStrategy[list[dict[str, Any]]]:
    """Manual edits of deployments: a body to PATCH, a schedule to add or toggle, or a deletion."""
    patch = st.fixed_dictionaries(
        {},
        optional={
            "paused": st.booleans(),
            "description": TEXT,
            "parameters": st.just({}),
            "job_variables": st.just({"env": {"BY": "hand"}}),
            "entrypoint": st.just("elsewhere.flow"),
            "version": st.just("by hand"),
            "concurrency_limit": st.none() | st.integers(1, 3),
            "work_queue_name": st.just("by hand"),
        },
    )
    added = st.fixed_dictionaries(
        {"slug": st.sampled_from([None, "by-hand"]), "cron": st.just("1 1 1 1 1")}
    )
    toggled = st.fixed_dictionaries({"toggle": st.integers(0, 2)})
    deleted = st.just({"delete": True})
    one = st.builds(lambda body: {"patch": body}, patch) | added | toggled | deleted
    return st.lists(one, max_size=3)
