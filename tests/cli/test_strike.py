"""No password leaves this machine: by place in the configuration, by value everywhere."""

import base64
import json
import re
import tomllib
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from nvr import config
from nvr.cli import strike

_SECRET = 'correct "horse" \\ stäple'


def _written(secret: str) -> list[str]:
    """Ways to write the key and its value in TOML."""
    basic = json.dumps(secret, ensure_ascii=False)
    return [
        f"password = {basic}",
        f"password={basic} # for the gate",
        f'"password" = {basic}',
        f"'password' = {basic}",
        f'password = """{basic[1:-1]}"""',
        f'password = """\n{basic[1:-1]}"""',
        f"password = {json.dumps(secret)}",
        f'table = {{ user = "u", password = {basic}, record = "off" }}',
        f'settings."network.ftp.password" = {basic}',
        f'settings."ftp(n).password" = {{ 0 = {basic}, rest = {basic} }}',
        f'settings."system.password.admin" = {basic}',
        f"[camera.gate.settings.system.password]\nadmin = {basic}",
        f"smtp_passwd = {basic}",
    ]


@pytest.mark.parametrize("line", _written(_SECRET), ids=range(len(_written(_SECRET))))
def test_a_password_is_struck_out_however_it_is_written(line: str) -> None:
    text = f'[camera.gate]\nhost = "h"\n{line}\n[metrics]\nlisten = ""\n'
    secrets = strike.secrets_of(tomllib.loads(text))
    assert {secret.strip() for secret in secrets} == {_SECRET}
    struck = strike.configuration(text, secrets)
    assert struck is not None
    assert "horse" not in struck
    assert 'host = "h"' in struck
    assert 'listen = ""' in struck


@pytest.mark.parametrize("short", ["a", "jvc", "x1"])
def test_a_short_password_is_struck_out_where_it_stands_and_nowhere_else(short: str) -> None:
    text = f'data_dir = "/a/jvc/x1"\n[camera.gate]\npassword = "{short}"\n'
    assert strike.configuration(text, {short}) == 'data_dir = "/a/jvc/x1"\n[camera.gate]\npassword = "***"\n'


def test_a_configuration_that_nobody_can_be_sure_of_is_left_out() -> None:
    assert strike.configuration('password = "abcd\n', set()) is None
    assert strike.configuration('[camera.gate.settings]\n"ftp.password" = { 0 = "ab" }\n', {"ab"}) is None


def test_a_camera_may_be_named_secret_door_and_a_file_of_a_password_is_no_password() -> None:
    text = '[camera.secret-door]\nhost = "h"\npassword_file = "gate.password"\n'
    assert strike.secrets_of(tomllib.loads(text)) == set()
    assert strike.configuration(text, set()) == text
    assert list(strike.named(tomllib.loads(text), "password_file")) == ["gate.password"]


def test_every_key_that_the_configuration_calls_secret_is_known_as_one() -> None:
    """A new key of that kind is either found by its name, or this fails."""
    models = [one for one in vars(config).values() if isinstance(one, type) and hasattr(one, "model_fields")]
    secret = {
        field.alias or name
        for model in models
        for name, field in model.model_fields.items()
        if SecretStr.__name__ in str(field.annotation)
    }
    assert secret >= {"password"}
    for key in secret:
        assert strike.secrets_of({key: "value"}) == {"value"}, key


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=4).filter(lambda text: text != "***"))
def test_a_password_is_struck_out_in_every_form(secret: str) -> None:
    forms = [
        secret,
        json.dumps(secret),
        json.dumps(secret, ensure_ascii=False),
        quote(secret, safe=""),
        base64.b64encode(f"admin:{secret}".encode()).decode(),
    ]
    for form in forms:
        struck = strike.struck_out(f"<{form}>", {secret}, ["admin"])
        assert re.fullmatch(r'<"?\**"?>', struck) or form not in struck, (form, struck)


def test_a_password_before_an_addresss_at_is_struck_out_although_nobody_knows_it() -> None:
    assert strike.struck_out("see http://admin:hush@192.168.0.2/x", set()) == "see http://***@192.168.0.2/x"
