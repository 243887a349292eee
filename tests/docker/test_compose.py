"""docker/compose.yaml: it parses, keeps its secrets out, and every setting, module and command it names exists."""

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from compose_file import DOCKER, read, texts, variables

# github.com/compose-spec/compose-spec, schema/compose-spec.json, Apache 2.0
SCHEMA = json.loads((Path(__file__).parent / "compose-spec.json").read_text(encoding="utf-8"))
PINNED = re.compile(r"[\w./-]+:[\w.-]*\d+\.\d+[\w.-]*")
SECRET = re.compile(r"PASSWORD|AUTH|TOKEN|SECRET|KEY", re.IGNORECASE)
SERVICES: dict[str, dict[str, Any]] = read()["services"]


@pytest.mark.parametrize("name", ["compose.yaml", "compose.gpu.yaml"])
def test_it_is_a_compose_file(name: str) -> None:
    jsonschema.validate(read(name), SCHEMA)


def test_the_schema_notices_a_mistake() -> None:
    with pytest.raises(jsonschema.ValidationError, match="healthchek"):
        jsonschema.validate({"services": {"a": {"image": "b", "healthchek": {}}}}, SCHEMA)


def test_the_services_are_those_of_a_production_layout() -> None:
    assert set(SERVICES) == {"postgres", "redis", "server", "services", "worker", "reports"}
    assert set(read("compose.gpu.yaml")["services"]) <= set(SERVICES)


def test_images_are_pinned_and_every_service_has_a_health_check() -> None:
    for name, service in SERVICES.items():
        assert PINNED.fullmatch(service["image"]), name
        assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}, name
        assert service["restart"] == "unless-stopped", name


def test_who_is_waited_for_exists_and_can_be_healthy() -> None:
    for service in SERVICES.values():
        for other, how in service.get("depends_on", {}).items():
            assert "healthcheck" in SERVICES[other]
            assert how == {"condition": "service_healthy"}


def test_volumes_are_declared_and_the_store_is_one() -> None:
    declared = set(read()["volumes"])
    mounted = {volume.split(":")[0] for one in SERVICES.values() for volume in one.get("volumes", ())}
    assert {name for name in mounted if re.fullmatch(r"\w+", name)} == declared
    assert "store:/srv/tinybert/artifacts" in SERVICES["worker"]["volumes"]
    assert "store:/srv/tinybert/artifacts:ro" in SERVICES["reports"]["volumes"]


def test_ports_stay_on_this_machine_unless_asked() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(ports) == 2
    assert all(port.startswith("${TINYBERT_BIND:-127.0.0.1}:") for port in ports)


def test_secrets_come_from_the_environment_alone() -> None:
    for name, service in SERVICES.items():
        for key, value in service["environment"].items():
            if SECRET.search(key) or re.search("://.*@", str(value)):
                assert variables(value), f"{name} has a value of its own for {key}"
        command = json.dumps([service.get("command"), service["healthcheck"]])
        assert not [each for each in variables(command) if SECRET.search(each)], f"{name} shows a secret in its command"


def test_the_example_names_every_variable_and_no_secret() -> None:
    lines = (DOCKER / ".env.example").read_text(encoding="utf-8").splitlines()
    settings = dict(match.groups() for line in lines if (match := re.match(r"#? ?([A-Z_]+)=(.*)$", line)))
    asked = variables(read())
    assert set(settings) == set(asked)
    assert {name for name, needed in asked.items() if needed} <= {
        line.partition("=")[0] for line in lines if line and not line.startswith("#")
    }
    assert all(not value for name, value in settings.items() if SECRET.search(name))
    assert "/docker/.env" in (DOCKER.parent / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_every_setting_is_one_of_prefects() -> None:
    from prefect.settings.legacy import _get_settings_fields
    from prefect.settings.models.root import Settings
    from prefect_redis.cleanup_queue import RedisWorkerCleanupQueueSettings
    from prefect_redis.client import RedisMessagingSettings

    known = set(_get_settings_fields(Settings))
    redis = {
        f"{settings.model_config['env_prefix']}{name}".upper()
        for settings in (RedisMessagingSettings, RedisWorkerCleanupQueueSettings)
        for name in settings.model_fields
    }
    named = {key for service in SERVICES.values() for key in service["environment"] if key.startswith("PREFECT_")}
    assert len(named) > 10
    assert named <= known | redis


def test_every_module_named_by_a_setting_is_installed() -> None:
    values = {text for service in SERVICES.values() for text in texts(service["environment"])}
    modules = {value for value in values if re.fullmatch(r"prefect_redis\.\w+", value)}
    assert len(modules) == 4
    assert [module for module in modules if find_spec(module) is None] == []


@pytest.mark.parametrize("name", [name for name in SERVICES if name not in {"postgres", "redis"}])
def test_every_command_knows_its_options(name: str) -> None:
    command: list[Any] = SERVICES[name]["command"]
    options = [word for word in command if word.startswith("--")]
    start = command.index(options[0]) if options else len(command)
    words = command[:start]
    if words[:2] == ["python", "-m"]:
        words = words[:3]
    program = {"python": [sys.executable], "prefect": [sys.executable, "-m", "prefect"]}[words[0]]
    help_ = subprocess.run([*program, *words[1:], "--help"], capture_output=True, text=True, check=True).stdout
    plain = re.sub(r"\x1b\[[0-9;]*m", "", help_)
    for option in options:
        assert option in plain or option.replace("--", "--no-", 1) in plain
