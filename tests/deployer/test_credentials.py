"""Values that look like credentials are refused in every input, and masked in every output."""

from __future__ import annotations

import json
from typing import Any

import pytest
from deployer import credentials
from deployer.catalog import Deployment
from deployer.check.catalog import check
from deployer.cli import context, terminal
from deployer.environment import Environment
from deployer.errors import DeployerError
from deployer.options import Wanted, Where
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prefect.events import DeploymentEventTrigger
from prefect.schedules import Cron

from tests.deployer.sample_flows import anything

CANARY = "canary4711canary4711"
# Paths in job variables or parameters, with values in which the canary is the secret.
SECRET = [
    ("env.DB_PASSWORD", CANARY),
    ("env.PGPASSWORD", CANARY),
    ("env.MYSQL_PWD", CANARY),
    ("env.PASSWORD_PROD", CANARY),
    ("env.dbPassword", CANARY),
    ("env.db-password", CANARY),
    ("env.GITHUB_TOKEN", CANARY),
    ("env.AWS_SECRET_ACCESS_KEY", CANARY),
    ("env.apikey", CANARY),
    ("env.PREFECT_API_AUTH_STRING", f"admin:{CANARY}"),
    ("env.CLIENT_SECRET", CANARY),
    ("labels.api_key", CANARY),
    ("labels.azureStorageAccountKey", CANARY),
    ("password", CANARY),
    ("login.passwords", [CANARY]),
    ("env", [{"name": "DB_PASSWORD", "value": CANARY}]),
    ("env.DSN", f"Server=db;Uid=me;Pwd={CANARY};Port=1433"),
    ("env.DSN", f"host=db user=me password={CANARY}"),
    ("env.STORAGE", f"DefaultEndpointsProtocol=https;AccountKey={CANARY}==;EndpointSuffix=x"),
    ("env.DATABASE_URL", f"postgresql://user:{CANARY}@db/x"),
    ("env.BROKER", f"redis://:{CANARY}@redis"),
    ("env.SAS", f"https://x.blob.core.windows.net/c?sv=2024&sig={CANARY}%3D"),
    ("hook", f"https://hooks.slack.com/services/T0/B0/{CANARY}"),
    ("hook", f"https://discord.com/api/webhooks/1/{CANARY}"),
    ("hook", f"https://acme.webhook.office.com/webhookb2/{CANARY}@x/IncomingWebhook/y"),
    ("hook", f"https://api.telegram.org/bot1:{CANARY}/sendMessage"),
    ("headers.Authorization", f"Bearer {CANARY}"),
    ("command", f"run.py --password={CANARY} --rows 5"),
    ("anything", f"ghp_{CANARY}{CANARY}"),
    ("anything", f"pnu_{CANARY}{CANARY}"),
    ("anything", f"sk-ant-{CANARY}"),
    ("anything", f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n-----END RSA PRIVATE KEY-----"),
]
HARMLESS = [
    ("token_bucket", 5),
    ("env.TOKEN_BUCKET", "5"),
    ("password_field", "name"),
    ("password_length", 12),
    ("env.DB_PASSWORD", "{{ prefect.blocks.secret.db-password }}"),
    ("env.DATABASE_URL", "postgresql://u:{{ prefect.blocks.secret.pw }}@db/x"),
    ("env.DATABASE_URL", "postgresql://u:{{prefect.blocks.secret.pw}}@db/x"),
    ("env.DSN", "Server=db;Pwd={{ prefect.blocks.secret.pw }};Port=1"),
    ("headers.Authorization", "Bearer {{ prefect.blocks.secret.pw }}"),
    ("command", "run.py --password=$PASSWORD"),
    ("command", "run.py --password=${PASSWORD}"),
    ("env.MAX_TOKENS", "500"),
    ("max_tokens", 500),
    ("env.TOKENIZERS_PARALLELISM", "false"),
    ("env.API_TOKEN", ""),
    ("env.API_TOKEN", None),
    ("use_token", True),
    ("pad_token", "[PAD]"),
    ("eos_token", "<|endoftext|>"),
    ("env.DB_PASSWORD_FILE", "/run/secrets/x"),
    ("env.GOOGLE_APPLICATION_CREDENTIALS", "/etc/key.json"),
    ("env.AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
    ("env.TOKEN_URL", "https://user@host/oauth/token"),
    ("env.SENTRY_DSN", "https://public@sentry.example/1"),
    ("secret_block", "db-password"),
    ("credentials_block_name", "warehouse"),
    ("image_pull_secrets", [{"name": "ghcr"}]),
    ("image_pull_secrets", ["ghcr"]),
    ("automount_service_account_token", False),
    ("secret_name", "db"),
    ("secretKeyRef", {"name": "db", "key": "user"}),
    ("query", "select token, password from users where id = 5"),
    ("query", "select * from users where token = 5 and password = :pw"),
    ("url", "https://example.com:8080/a@b"),
    ("url", "postgresql://user:{password}@db/x"),
    ("job", "sk-learn-pipeline-nightly-training"),
    ("hook", "https://hooks.slack.com"),
    ("env.PATH", "/usr/bin:/bin"),
    ("image", "registry:5000/flows@sha256:0123456789abcdef"),
    ("note", "basic training"),
]


def nested(path: str, value: Any) -> Any:
    """Return a JSON object with a value at a dotted path."""
    for name in reversed(path.split(".")):
        value = {name: value}
    return value


@pytest.mark.parametrize(("path", "value"), SECRET)
def test_a_credential_is_found_and_masked_by_the_same_rule(path: str, value: Any) -> None:
    content = nested(path, value)

    assert [*credentials.find_credentials(content)] != []
    assert "canary" not in json.dumps(credentials.mask_values(content))
    assert credentials.mask_values(credentials.mask_values(content)) == credentials.mask_values(
        content
    )


@pytest.mark.parametrize(("path", "value"), HARMLESS)
def test_what_only_speaks_of_a_credential_is_left_alone(path: str, value: Any) -> None:
    content = nested(path, value)

    assert [*credentials.find_credentials(content)] == []
    assert credentials.mask_values(content) == content


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from([CANARY, "a:b@c"]),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["env", "password", "value", "name"]), inner)
        ),
    )
)
def test_what_is_found_is_what_would_be_masked(content: Any) -> None:
    assert bool([*credentials.find_credentials(content)]) == (
        credentials.mask_values(content) != content
    )


BLOCK = "put it into a Secret block and "
ENTRIES: dict[str, dict[str, Any]] = {
    "job_variables.labels.api_key": {"job_variables": {"labels": {"api_key": CANARY}}},
    "job_variables.env.DSN": {"job_variables": {"env": {"DSN": f"Server=db;Pwd={CANARY}"}}},
    "parameters.x.password": {"parameters": {"x": {"password": CANARY}}},
    "schedule s.x.hook": {
        "schedules": [
            Cron(
                "@daily",
                slug="s",
                parameters={"x": {"hook": f"https://hooks.slack.com/services/{CANARY}"}},
            )
        ]
    },
    "smoke.x": {"smoke": {"x": f"https://user:{CANARY}@host"}},
    "trigger t.parameters.x.token": {
        "triggers": [
            DeploymentEventTrigger(name="t", expect={"a"}, parameters={"x": {"token": CANARY}})
        ]
    },
}


@pytest.mark.parametrize("path", ENTRIES)
def test_a_catalog_with_a_credential_is_refused_with_the_block_to_use(path: str) -> None:
    (problem,) = check([Deployment(anything, "main", **ENTRIES[path])])

    assert f"{path} would be readable in the UI and in every release: {BLOCK}" in problem
    assert "canary" not in problem


def test_a_parameter_that_is_secret_and_wrong_is_not_repeated() -> None:
    (problem,) = check(
        [Deployment(anything, "main", parameters={"passwort": 1, "password": CANARY})]
    )

    assert "parameters.password would be readable" in problem
    assert 'Secret.load("password").get()' in problem
    assert "canary" not in problem


def choose(monkeypatch: pytest.MonkeyPatch, *pairs: str, **settings: Any) -> Environment:
    """Return production with job variables from the command line."""
    found = {"production": Environment("p", "production", work_pool="w", **settings)}
    monkeypatch.setattr("deployer.environment.load", lambda: found)
    return context.chosen_environment(Where("production"), Wanted(job_variable=pairs))


@pytest.mark.parametrize(
    "pair",
    [
        f"db_password={CANARY}",
        f'env={{"DSN": "Server=db;Pwd={CANARY}"}}',
        f'labels={{"api_key": "{CANARY}"}}',
        f"hook=https://hooks.slack.com/services/{CANARY}",
    ],
)
def test_a_job_variable_of_the_command_line_is_refused_too(
    monkeypatch: pytest.MonkeyPatch, pair: str
) -> None:
    with pytest.raises(
        DeployerError, match=r"^--job-variable: job_variables\..* would be reada"
    ) as e:
        choose(monkeypatch, pair)

    assert "canary" not in str(e.value)
    assert "{{ prefect.blocks.secret." in str(e.value)
    harmless = choose(
        monkeypatch, "network_mode=host", 'env={"A": "{{ prefect.blocks.secret.a }}"}'
    )
    assert harmless.given_variables["network_mode"] == "host"


def test_no_line_that_comes_out_shows_a_credential(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(credentials, "_known", set())
    monkeypatch.setenv("API_TOKEN", "canary of mine")
    choose(monkeypatch, secrets={"api-token": "API_TOKEN"})
    terminal.console.cache_clear()
    log = f"The smoke run ended Failed:\n    OperationalError: postgresql://me:{CANARY}@db/x"

    for message in (log, "with canary of mine", f"?token={CANARY}"):
        terminal.say(message)
        terminal.fail(message)
        terminal.show(message)

    told = capsys.readouterr()
    assert "canary" not in told.out + told.err
    assert told.err.count(credentials.MASK) == 6
    assert "postgresql://me:********@db/x" in told.out


def test_json_stays_json_when_something_in_it_is_masked() -> None:
    for _, value in SECRET:
        text = json.dumps({"a": value, "b": 1}, indent=2)
        assert json.loads(credentials.mask_text(text))["b"] == 1
