"""Find credentials, by the name or the text of a value. The known secrets are its only state.

The same rules apply to input and output: a value that is refused as input is masked in output.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

MASK = "********"
SHORTEST = 4  # characters; a shorter value would be found inside ordinary words

# Names, in snake_case, of secrets. A token's name counts only with a long value, because a model's
# pad_token is no secret. The values of HARMLESS_NAME only describe a secret, such as password_file.
WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|\W+")
SECRET_NAME = re.compile(r"passw|pwd|passphrase|secret(?!s)|credential|auth_string|private_?key")
TOKEN_NAME = re.compile(r"(api|access|account|auth|encryption|signing)_?key|token(?!iz|s)")
NUMBER_NAME = re.compile(r"(passw(or)?d|pwd|passphrase|secret)$")
SHORTEST_TOKEN = 8  # characters
HARMLESS_NAME = re.compile(
    r"^(allow|check|disable|enable|has|hide|is|max|min|needs?|num|requires?|rotate|show|uses?)_"
    r"|^google_application_cred"
    r"|_(arn|block|bucket|column|count|days|dir|enabled|env|expiry|field|file|format|header|hint"
    r"|hours|id|kind|label|length|limit|minutes|mode|names?|paths?|pattern|policy|prefix|provider"
    r"|ref|region|required|rotation|scopes?|seconds|size|source|suffix|table|timeout|ttl|type"
    r"|ur[il]|user(name)?|variable|version)$"
)
# A reference to a secret, such as {{ prefect.blocks.secret.x }} or $PASSWORD, is not a secret.
NO_REFERENCE = r"(?!\{|\$[A-Z_{(]|<|%\(|…)"
# In each pattern, group 1 is the text to mask.
SECRET_TEXTS = [
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


def add_secrets(values: Iterable[str]) -> None:
    """Mask these values in every text from now on."""
    _known.update(value for value in values if len(value) >= SHORTEST)


def find_credentials(value: Any, path: str = "") -> Iterator[str]:
    """Yield the dotted paths of the values in a JSON document that look like credentials."""
    if isinstance(value, dict):
        for _, each, place in _places(value, path):
            yield from find_credentials(each, place)
    elif isinstance(value, list):
        for each in value:
            yield from find_credentials(each, path)
    elif _named(path, value) or (isinstance(value, str) and _masked_text(value) != value):
        yield path


def mask_values(value: Any, path: str = "") -> Any:
    """Return a JSON value in which all credentials and known secrets are masked."""
    if isinstance(value, dict):
        return {key: mask_values(each, place) for key, each, place in _places(value, path)}
    if isinstance(value, list):
        return [mask_values(each, path) for each in value]
    if _named(path, value):
        return MASK
    return mask_text(value) if isinstance(value, str) else value


def mask_text(text: str) -> str:
    """Return a text in which all credentials and known secrets are masked."""
    for value in sorted(_known, key=len, reverse=True):
        text = text.replace(value, MASK)
    return _masked_text(text)


def block_name(path: str) -> str:
    """Suggest a name for the Secret block that could hold the value at this path."""
    return re.sub("[^a-z0-9]+", "-", path.rpartition(".")[2].lower()).strip("-") or "my-secret"


def _places(table: dict[Any, Any], path: str) -> Iterator[tuple[Any, Any, str]]:
    """Yield key, value and path, which ends in NAME for Kubernetes' {name: NAME, value: VALUE}."""
    name = table.get("name")
    for key, value in table.items():
        last = name if key == "value" and isinstance(name, str) else key
        yield key, value, f"{path}.{last}" if path else str(last)


def _named(path: str, value: Any) -> bool:
    """Whether this value is a credential, by the last name of its path."""
    text = "" if value is None or isinstance(value, bool) else str(value)
    name = WORD.sub("_", path.rpartition(".")[2]).lower()
    if not text or "{{" in text or HARMLESS_NAME.search(name):
        return False
    if not isinstance(value, str) or text.isdigit():
        return NUMBER_NAME.search(name) is not None
    is_long = len(text) >= SHORTEST_TOKEN and " " not in text and not text.startswith("<")
    return bool(SECRET_NAME.search(name) or (is_long and TOKEN_NAME.search(name)))


def _masked_text(text: str) -> str:
    for pattern in SECRET_TEXTS:
        text = pattern.sub(_mask_group, text)
    return text


def _mask_group(found: re.Match[str]) -> str:
    start, end = (place - found.start() for place in found.span(1))
    return found[0][:start] + MASK + found[0][end:]
