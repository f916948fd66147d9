"""A deployment may run another image than the others: one that environments.toml names."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from deployer import image_references, importing, plan, release
from deployer.catalog import Deployment
from deployer.desired import from_catalog
from deployer.environment import Environment
from deployer.errors import DeployerError
from deployer.release import Release
from tools import build, environments, image, pipeline, renew, trust
from tools.workflow_settings import Settings

from tests.deployer.sample_flows import plain
from tests.deployer.world import World
from tests.support.server import PrefectServer

CATALOG = [Deployment(plain, "usual"), Deployment(plain, "trains", image="gpu")]
TOML = """\
project = "p"

[images]
gpu = "gpu"
big = "Dockerfile.big"

[production]
work_pool = "x"
"""
DOCKERFILE = """\
FROM python:3.14 AS build
FROM nvidia/cuda:13 AS cuda
FROM cuda AS gpu
COPY --from=build /opt /opt
FROM build
"""
RELEASE = "ghcr.io/acme/flows"
PUBLIC = Settings({}, "Acme/Flows", event={"repository": {"private": False}})


def digest(letter: str) -> str:
    return f"sha256:{letter * 64}"


def test_images_are_told_as_words_the_first_one_first() -> None:
    given = {"gpu": "r/f@sha256:2", "": "host:5000/f:src-1"}

    words = image_references.words(given)

    assert words == ["host:5000/f:src-1", "gpu=r/f@sha256:2"]
    assert image_references.parse([*words, ""]) == given
    assert image_references.options(given) == ["--image", words[0], "--image", words[1]]
    with pytest.raises(DeployerError, match=r"^--image gives the image 'gpu' twice, last as 'gpu"):
        image_references.parse(["gpu=a", "gpu=b"])


def test_each_deployment_keeps_its_own_digest_and_a_rollback_brings_it_back(
    server: PrefectServer,
) -> None:
    world = World(server, work_pool="containers", work_pool_type="docker")

    def give(**given: str) -> None:
        world.environment = replace(world.environment, given_images={"": "f@1", **given})

    def deployed() -> list[str]:
        live = world.states()
        return [live[world.key(entry)]["job_variables"]["image"] for entry in CATALOG]

    give(gpu="g@1")
    world.deploy(CATALOG)
    assert deployed() == ["f@1", "g@1"]
    assert world.plan(CATALOG).empty
    give(gpu="g@2")
    (change,) = world.plan(CATALOG).of("update")
    assert change.key == world.key(CATALOG[1])
    assert change.fields == {"job_variables.image": ("g@1", "g@2")}
    world.deploy(CATALOG)
    assert deployed() == ["f@1", "g@2"]

    world.roll_back(1)

    assert deployed() == ["f@1", "g@1"]
    newest, *_ = world.run(lambda server: release.recent(server, world.environment))
    assert (newest.image, newest.images) == ("f@1", {"gpu": "g@1"})


def test_with_only_a_record_names_the_images_that_still_run(server: PrefectServer) -> None:
    world = World(server, work_pool="containers", work_pool_type="docker")
    for given in ({"": "f@1", "gpu": "g@1"}, {"": "f@2", "gpu": "g@2"}):
        world.environment = replace(world.environment, given_images=given)
        only = None if given[""] == "f@1" else world.key(CATALOG[0])
        world.deploy(CATALOG, only=only)

    newest, *_ = world.run(lambda server: release.recent(server, world.environment))

    assert (newest.image, newest.images) == ("f@2", {"gpu": "g@1"})


@pytest.mark.parametrize(("gpu", "named"), [("g@1", [False, True]), ("f@1", [False, False])])
def test_the_entry_that_accepts_an_edit_keeps_its_image(gpu: str, named: list[bool]) -> None:
    given = {"": "f@1", "gpu": gpu}  # the same as the first one's tells no entry from another
    here = Environment("p", "production", work_pool="x", given_images=given)
    wanted = from_catalog(CATALOG, here)
    record = Release(1, "", "ada", None, "f@1", None, None, "verified", "", wanted.specs, {})
    record = replace(record, images=wanted.images)
    live = {key: {**each, "version": "edited"} for key, each in wanted.specs.items()}

    made = plan.make(record.specs, live, record.specs)
    entries, _ = importing.acceptance(made, replace(here, given_images={}), record)

    assert ['image="gpu"' in each for each in entries] == named


def test_an_import_of_what_is_released_keeps_the_names_of_images() -> None:
    here = Environment(
        "p", "production", work_pool="x", given_images={"": "f@1", "gpu": "g@1", "big": "b@1"}
    )
    wanted = from_catalog(CATALOG, here)
    record = Release(1, "", "ada", None, "f@1", None, None, "verified", "", wanted.specs, {})
    record = replace(record, images={"gpu": "g@1"})
    found: importing.Found = [(spec, []) for spec in wanted.specs.values()]
    bare = replace(here, given_images={})

    text, notes = importing.catalog(found, bare, recorded=record)
    unknown, more = importing.catalog(found, bare)

    usual, trains = text.split("Deployment(")[1:]
    assert ("image=" in usual, 'image="gpu"' in trains) == (False, True)
    assert "image=" not in unknown
    of_images = [[line.split()[0] for line in each if "image" in line] for each in (notes, more)]
    assert of_images == [["plain/usual:"], ["plain/usual:", "plain/trains:"]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what names and makes images, which git knows."""
    (tmp_path / "deployments").mkdir()
    (tmp_path / "deployments/environments.toml").write_text(TOML)
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "Dockerfile.big").write_text("FROM debian:13\nFROM scratch\n")
    (tmp_path / ".dockerignore").write_text("*\n!deployments\n!requirements-gpu.txt\n**/.env\n")
    (tmp_path / "requirements-gpu.txt").write_text("")
    for module in (build, environments, image):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(image, "CONTENT", ("Dockerfile", ".dockerignore", "deployments"))
    monkeypatch.setenv("RUNNER_TEMP", str(tmp_path))
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    build.call("git", "init", "--quiet")
    return tmp_path


def test_all_that_could_be_in_an_image_is_in_its_name(project: Path) -> None:
    names = ("", "gpu", "big")
    files = {
        "requirements-gpu.txt": [False, True, True],
        "Dockerfile": [True, True, False],
        "Dockerfile.big": [False, False, True],
    }
    before = [image.tag(name) for name in names]
    assert [tag[:-40] for tag in before] == ["src-", "gpu-", "big-"]
    for file, changes in files.items():
        with (project / file).open("a") as opened:
            opened.write("# changed\n")
        after = [image.tag(name) for name in names]
        assert [a != b for a, b in zip(before, after, strict=True)] == changes, file
        before = after
    with pytest.raises(DeployerError, match="no image 'gup': choose one of worker, gpu, big"):
        image.recipe("gup")


def test_an_image_stands_on_the_base_of_its_own_stages(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = ("", "gpu", "Dockerfile.big")
    assert [build.base(each) for each in recipes] == ["python:3.14", "nvidia/cuda:13", ""]
    monkeypatch.setenv("BASE_MIRROR", "mirror/")
    assert build.mirrored() == {
        "python:3.14": "mirror/python:3.14",
        "nvidia/cuda:13": "mirror/nvidia/cuda:13",
    }


@pytest.mark.parametrize(
    ("text", "base", "mirrored"),
    [
        ("FROM nvidia/cuda:13 as gpu\n", "nvidia/cuda:13", ["nvidia/cuda:13"]),
        ("FROM --platform=$BUILDPLATFORM debian:13 AS GPU\n", "debian:13", ["debian:13"]),
        ("from debian:13 as Below\r\n  from below as gpu \r\n", "debian:13", ["debian:13"]),
        ("ARG BASE=debian:13\nFROM ${BASE} AS gpu\n", "", []),
        ("FROM debian:13 AS build\nFROM scratch AS gpu\n", "", ["debian:13"]),
        ("FROM debian:13\n", "", ["debian:13"]),  # has no such stage
    ],
)
def test_the_base_is_found_in_every_way_to_write_a_dockerfile(
    project: Path, monkeypatch: pytest.MonkeyPatch, text: str, base: str, mirrored: list[str]
) -> None:
    (project / "Dockerfile").write_bytes(text.encode())
    monkeypatch.setenv("BASE_MIRROR", "mirror")

    assert build.base("gpu") == base
    assert [*build.mirrored()] == mirrored


@pytest.mark.parametrize("mirror", ["", "mirror/"])
def test_an_image_without_a_base_is_passed_over_and_the_next_is_looked_at(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], mirror: str
) -> None:
    (project / "Dockerfile").write_text("FROM scratch AS gpu\nFROM $BASE\n")
    (project / "Dockerfile.big").write_text("FROM debian:13\n")
    there = {f"{mirror}debian:13": ["new"]}
    monkeypatch.setattr(renew, "digest", lambda name: digest("a"))
    monkeypatch.setattr(renew, "layers", lambda name, platform: there.get(name, ["old", "own"]))
    monkeypatch.setenv("BASE_MIRROR", "")  # it is set from the variables, and restored

    moved = renew.moved(replace(PUBLIC, variables={"BASE_MIRROR": mirror}))

    assert moved == f"debian:13 has moved since {RELEASE}:{image.tag('big')} was built"
    said = capsys.readouterr()
    assert said.out == "", "it is the workflow's output"
    assert [line.partition(" has no base image ")[0] for line in said.err.splitlines()] == [
        f"{RELEASE}:{image.tag(name)}" for name in ("", "gpu")
    ]


@pytest.mark.parametrize(
    ("file", "names"), [("Dockerfile", ["", "worker", "gpu"]), ("Dockerfile.big", ["big"])]
)
def test_an_image_with_a_dockerignore_of_its_own_is_refused(
    project: Path, file: str, names: list[str]
) -> None:
    (project / f"{file}.dockerignore").write_text("")

    for name in ("", "worker", "gpu", "big"):
        if name in names:
            with pytest.raises(DeployerError, match=f"^{file}.dockerignore is there, .* delete it"):
                image.content(name)
        else:
            assert image.content(name)


def options(**given: object) -> Namespace:
    default = {"package": "release", "label": "", "given": "", "rebuild": False, "released": ""}
    return Namespace(**{**default, "images": "", "pushed": "", **given})


@pytest.fixture
def there(project: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Say which images a registry has, by a part of their names; all of main's are proven."""
    monkeypatch.setattr(trust, "attested", lambda *given: None)

    def holds(**digests: str) -> None:
        def find(name: str) -> str | None:
            return next((each for part, each in digests.items() if part in name), None)

        monkeypatch.setattr(pipeline, "digest", find)

    return holds


def test_only_the_images_that_are_not_there_are_built(
    there: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    there(src=digest("a"), big=digest("b"))

    found = pipeline.find(PUBLIC, options())

    gpu = f"{RELEASE}:{image.tag('gpu')}"
    assert (found["first"], found["build"]) == ("", f"gpu={gpu}")
    assert found["found"] == f"{RELEASE}@{digest('a')} big={RELEASE}@{digest('b')}"
    defined = json.loads(Path(found["others"]).read_text())
    assert defined["group"]["default"]["targets"] == [*defined["target"]] == ["gpu"]
    target = defined["target"]["gpu"]
    assert (target["dockerfile"], target["target"], target["tags"]) == ("Dockerfile", "gpu", [gpu])
    assert not [each for each in target["cache-to"] if "scope=gpu" not in each]

    gpu = f"gpu={RELEASE}@{digest('c')}"
    said = pipeline.conclude(PUBLIC, options(images=found["found"], pushed=gpu))
    whole = f"{found['found']} {gpu}"
    assert said == {"image": whole, "released": whole}


@pytest.mark.parametrize("given", [{"rebuild": True}, {"package": "none"}])
def test_all_are_built_where_none_is_looked_for(
    there: Callable[..., None], given: dict[str, object]
) -> None:
    there(src=digest("a"), gpu=digest("b"), big=digest("c"))
    found = pipeline.find(PUBLIC, options(**given))
    assert [*image_references.parse(found["build"].split())] == ["", "big", "gpu"]
    assert found["found"] == ""


def test_a_preview_is_told_what_main_would_deploy(there: Callable[..., None]) -> None:
    there(**{"preview:pr-7-": digest("a"), "flows:gpu-": digest("b")})
    found = pipeline.find(PUBLIC, options(package="preview", label="pr-7"))
    assert found["build"] == ""

    said = pipeline.conclude(PUBLIC, options(images=found["found"], released=found["released"]))

    released = image_references.parse(said["released"].split())
    assert released == {name: f"{RELEASE}@{digest('a')}" for name in ("", "big")} | {
        "gpu": f"{RELEASE}@{digest('b')}"
    }
    assert (
        image_references.parse(said["image"].split())["gpu"] == f"{RELEASE}/preview@{digest('a')}"
    )


def test_images_that_were_given_are_taken_as_they_are(there: Callable[..., None]) -> None:
    there()
    given = f"{RELEASE}@{digest('a')} gpu={RELEASE}@{digest('b')}"
    found = pipeline.find(PUBLIC, options(given=given))
    assert (found["build"], found["first"], found["others"]) == ("", "", "")
    assert pipeline.conclude(PUBLIC, options(images=found["found"]))["image"] == given
