"""The weekly update on GitHub: what becomes a pull request, and what the issue says."""

from __future__ import annotations

import io
from typing import Any

import pytest
from tools import github


@pytest.mark.parametrize(
    ("option", "said"),
    [("--gone", "This project is up to date."), ("--proposed", "A pull request has it.")],
)
def test_the_issue_is_closed_with_the_true_reason(
    option: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = list[Any]()
    found = {"number": 5, "user": {"login": github.AUTHOR}, "body": github.marked("update", "")}

    def api(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        return [[found]] if method == "GET" else sent.append(body)

    monkeypatch.setenv("GITHUB_REPOSITORY", "Acme/Flows")
    monkeypatch.setattr(github, "api", api)
    monkeypatch.setattr("sys.stdin", io.StringIO("Updated."))
    assert github.main(["update", option]) == 0
    assert sent == [{"body": said}, {"state": "closed"}]
