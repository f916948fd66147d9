# /// script
# requires-python = ">=3.11"
# dependencies = ["httpx>=0.28,<1", "markdown-it-py>=4,<5"]
# ///
"""Take the pictures of the README from what really happens in a new project.

`uvx nox -s pictures` makes the project and calls this with its folder. It needs Chromium, and on a
machine without Chinese letters a font that has them.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from html import escape
from pathlib import Path
from typing import Any

import httpx
from markdown_it import MarkdownIt

HERE = Path(__file__).resolve().parent
SIZES = {
    "deployments": (1200, 620),
    "deployment": (1200, 620),
    "flow-run": (1200, 520),
    "release": (1200, 720),
    "comment": (840, 880),
}
WAIT = 20_000  # milliseconds in which a page of the UI loads what it shows
LARGEST = 150_000  # bytes of a picture
PERSON = {"LOGNAME": "ada", "USER": "ada"}
# Previews and production run in processes here: a picture needs no image.
LOCAL = 'work_pool = "local"\nwork_pool_type = "process"\n'
STYLE = """
body { font: 15px/1.5 "Noto Sans", "DejaVu Sans", sans-serif; margin: 20px; color: #1f2328 }
.box { border: 1px solid #d1d9e0; border-radius: 6px }
.head { background: #f6f8fa; border-bottom: 1px solid #d1d9e0; padding: 8px 16px; color: #59636e }
.head b { color: #1f2328 } .head i { font-style: normal; font-size: 12px; padding: 0 6px;
  border: 1px solid #d1d9e0; border-radius: 1em }
.text { padding: 4px 16px 8px } h3 { font-size: 1.2em; margin: 16px 0 8px }
table { border-collapse: collapse; margin-bottom: 14px }
td, th { border: 1px solid #d1d9e0; padding: 5px 12px }
tr:nth-child(2n) { background: #f6f8fa } a { color: #0969da; text-decoration: none }
code { font: 85% "DejaVu Sans Mono", monospace; background: #eff1f3; padding: 2px 4px }
"""


class Project:
    """A new project whose `up` is running.

    Attributes:
        folder: where it is.
        url: of its server.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = ["uvx", "nox", "-s", "up", "--", "--port", str(port)]
        env = {**os.environ, **PERSON}
        self.up = subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True)
        for line in self.up.stdout or ():
            if "Ctrl-C ends everything" in line:
                return
        raise SystemExit("`up` did not come up: its messages are above.")

    def __enter__(self) -> "Project":
        return self

    def __exit__(self, *_: object) -> None:
        self.up.send_signal(signal.SIGINT)
        self.up.wait(60)

    def python(self, *words: str, text: str | None = None, **env: str) -> str:
        """Run the project's Python and return what it printed."""
        settings = {"PREFECT_API_URL": f"{self.url}/api", "HOME": str(self.folder), **PERSON}
        done = subprocess.run(
            [self.folder / ".nox/project/bin/python", *words],
            cwd=self.folder,
            env={"PATH": "/usr/bin:/bin", **settings, **env},
            input=text,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return done.stdout

    def deployer(self, *words: str) -> str:
        """Run a command of the deployer and return what it printed."""
        return self.python("-m", "deployer", *words)

    def edit(self, path: str, pattern: str, new: str) -> None:
        """Replace what a pattern finds in a file."""
        file = self.folder / path
        text, count = re.subn(pattern, new, file.read_text(encoding="utf-8"), flags=re.DOTALL)
        if not count:
            raise SystemExit(f"{path} has no {pattern!r} any more: look at {__file__}.")
        file.write_text(text, encoding="utf-8")

    def find(self, what: str, **where: Any) -> dict[str, Any]:
        """Return the first thing that a filter of Prefect's API finds."""
        answer = httpx.post(f"{self.url}/api/{what}/filter", json=where, trust_env=False)
        found: list[dict[str, Any]] = answer.raise_for_status().json()
        return found[0]


def photograph(address: str, name: str) -> None:
    """Write a picture of a page."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("There is no Chromium: `apt-get install chromium`.")
    picture = HERE / f"{name}.png"
    options = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--virtual-time-budget={WAIT}"]
    options += ["--window-size={},{}".format(*SIZES[name]), f"--screenshot={picture}"]
    subprocess.run([chromium, *options, address], check=True, stderr=subprocess.DEVNULL)
    size = picture.stat().st_size
    print(f"{picture.name}: {size:,} bytes")
    if size > LARGEST:
        raise SystemExit(f"{picture} is larger than {LARGEST:,} bytes: show less of the page.")


def comment(project: Project) -> str:
    """Return the comment that a pull request gets, as the workflow puts it together."""
    for name in ("preview", "production"):
        table = rf"(\[{name}\][^\n]*\n).*?(?=name_suffix|\n# What a container|\n\[|\Z)"
        project.edit("deployments/environments.toml", table, rf"\g<1>{LOCAL}")
    project.deployer("destroy", "local", "--yes")  # its names are those of production
    project.deployer("deploy", "production", "--no-verify")
    project.edit("deployments/catalog.py", r'"0 3 \* \* \*"', '"30 4 * * *"')
    project.edit("deployments/catalog.py", r'name="manual", tags', 'name="on-demand", tags')
    options = ["--label", "pr-7", "--format", "markdown"]
    text = project.deployer("deploy", "preview", *options)
    text += project.deployer("plan", "production", "--format", "markdown")
    code = "import sys; from tools.github import marked, signature; "
    code += "print(marked('preview', sys.stdin.read(), signature('5a01c9e' * 5 + '01c9e')))"
    return project.python("-c", code, text=text, GITHUB_REPOSITORY="ada/my-prefect-flows")


def page(markdown: str) -> str:
    """Return a page that shows Markdown as GitHub shows a comment."""
    shown = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)
    head = f"<b>{escape('github-actions')}</b> <i>bot</i> commented"
    box = f'<div class="box"><div class="head">{head}</div><div class="text">{shown}</div></div>'
    return f'<!doctype html><meta charset="utf-8"><style>{STYLE}</style>{box}'


def main(folder: Path) -> None:
    """Write all pictures."""
    with Project(folder) as project:
        project.edit("deployments/catalog.py", '"rows": 500', '"rows": 600')
        project.deployer("deploy", "local")
        deployment = project.find("deployments", deployments={"name": {"any_": ["nightly"]}})
        ran = {
            "deployment_id": {"any_": [deployment["id"]]},
            "state": {"name": {"any_": ["Completed"]}},
        }
        run = project.find("flow_runs", flow_runs=ran)
        release = project.find(
            "artifacts", artifacts={"key": {"like_": "release-"}}, sort="CREATED_DESC"
        )
        addresses = {
            "deployments": "deployments",
            "deployment": f"deployments/deployment/{deployment['id']}?tab=Description",
            "flow-run": f"runs/flow-run/{run['id']}",
            "release": f"artifacts/artifact/{release['id']}",
        }
        for name, address in addresses.items():
            photograph(f"{project.url}/v2/{address}", name)
        file = folder / "comment.html"
        file.write_text(page(comment(project)), encoding="utf-8")
        photograph(file.as_uri(), "comment")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
