"""What looks like a credential, by its name or by itself. Pure, but for the values to hide.

There is one list for both ways: what is refused when it comes in is masked when it goes out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

MASK = "********"
SHORTEST = 4  # characters; what is shorter stands in every second word

# Names whose values are secret, written db_password: those of tokens only for long values, because
# a model's pad_token is none. A name may also say that its value only speaks of a secret.
WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|\W+")
NAME = re.compile(r"passw|pwd|passphrase|secret(?!s)|credential|auth_string|private_?key")
NAME_OF_TOKEN = re.compile(r"(api|access|account|auth|encryption|signing)_?key|token(?!iz|s)")
NAME_OF_NUMBER = re.compile(r"(passw(or)?d|pwd|passphrase|secret)$")
TOKEN_FROM = 8  # characters
NO_NAME = re.compile(
    r"^(allow|check|disable|enable|has|hide|is|max|min|needs?|num|requires?|rotate|show|uses?)_"
    r"|^google_application_cred"
    r"|_(arn|block|bucket|column|count|days|dir|enabled|env|expiry|field|file|format|header|hint"
    r"|hours|id|kind|label|length|limit|minutes|mode|names?|paths?|pattern|policy|prefix|provider"
    r"|ref|region|required|rotation|scopes?|seconds|size|source|suffix|table|timeout|ttl|type"
    r"|ur[il]|user(name)?|variable|version)$"
)
# A reference, such as {{ prefect.blocks.secret.x }} or $PASSWORD, stands for a secret and is none.
NO_REFERENCE = r"(?!\{|\$[A-Z_{(]|<|%\(|…)"
# In each, the group is what has to be hidden.
TEXTS = [
    re.compile(pattern)
    for pattern in (
        rf"://[^/\s:@]*:{NO_REFERENCE}([^/\s@]+)@",
        r"(?i)(?:^|[\s;?&\"'-])(?:password|passwd|pwd|(?:shared)?access_?key|accountkey|api_?key"
        r"|secret|client_?secret|(?:access_?)?token|sig(?:nature)?|sharedaccesssignature)"
        rf"={NO_REFERENCE}([^\s;&\"']+)",
        r"hooks\.slack(?:-gov)?\.com/(?:services|triggers|workflows)/([^\s\"']+)",
        r"discord(?:app)?\.com/api/webhooks/([^\s\"']+)",
        r"(?:webhook\.office|outlook\.office)\.com/webhook\w*/([^\s\"']+)",
        r"hooks\.zapier\.com/hooks/([^\s\"']+)",
        r"api\.telegram\.org/bot(\d+:[\w-]+)",
        r"(?i)^(?:basic|bearer) +(?=\S*[\d=])(\S{8,})",
        r"\b(gh[oprsu]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeprs]-[\w-]{10,}"
        r"|[rs]k_live_\w{10,}|sk-(?:ant|proj|svcacct)-[\w-]{20,}|sk-[A-Za-z0-9]{32,}"
        r"|pn[bu]_\w{20,}|AIza[\w-]{30,}|eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+)",
        r"(?s)(-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END|\Z))",
    )
]
_known: set[str] = set()


def know(values: Iterable[str]) -> None:
    """Hide these values from now on, wherever in a text they are."""
    _known.update(value for value in values if len(value) >= SHORTEST)


def find(value: Any, path: str = "") -> Iterator[str]:
    """Yield the dotted paths of what looks like a credential in a JSON value."""
    if isinstance(value, dict):
        for _, each, place in _places(value, path):
            yield from find(each, place)
    elif isinstance(value, list):
        for each in value:
            yield from find(each, path)
    elif _named(path, value) or (isinstance(value, str) and _stripped(value) != value):
        yield path


def masked(value: Any, path: str = "") -> Any:
    """Return a JSON value with a mask for what looks like a credential, and for known values."""
    if isinstance(value, dict):
        return {key: masked(each, place) for key, each, place in _places(value, path)}
    if isinstance(value, list):
        return [masked(each, path) for each in value]
    if _named(path, value):
        return MASK
    return cover(value) if isinstance(value, str) else value


def cover(text: str) -> str:
    """Return a text with a mask for what looks like a credential in it, and for known values."""
    for value in sorted(_known, key=len, reverse=True):
        text = text.replace(value, MASK)
    return _stripped(text)


def block(path: str) -> str:
    """Return what a Secret block for the value at this path may be called."""
    return re.sub("[^a-z0-9]+", "-", path.rpartition(".")[2].lower()).strip("-") or "my-secret"


def _places(table: dict[Any, Any], path: str) -> Iterator[tuple[Any, Any, str]]:
    """Yield key, value and path; Kubernetes writes a variable as {name: NAME, value: VALUE}."""
    name = table.get("name")
    for key, value in table.items():
        last = name if key == "value" and isinstance(name, str) else key
        yield key, value, f"{path}.{last}" if path else str(last)


def _named(path: str, value: Any) -> bool:
    """Whether the last name of a path says that this value is a credential."""
    text = "" if value is None or isinstance(value, bool) else str(value)
    name = WORD.sub("_", path.rpartition(".")[2]).lower()
    if not text or "{{" in text or NO_NAME.search(name):
        return False
    if not isinstance(value, str) or text.isdigit():
        return NAME_OF_NUMBER.search(name) is not None
    is_long = len(text) >= TOKEN_FROM and " " not in text and not text.startswith("<")
    return bool(NAME.search(name) or (is_long and NAME_OF_TOKEN.search(name)))


def _stripped(text: str) -> str:
    for pattern in TEXTS:
        text = pattern.sub(_without_group, text)
    return text


def _without_group(found: re.Match[str]) -> str:
    start, end = (place - found.start() for place in found.span(1))
    return found[0][:start] + MASK + found[0][end:]
