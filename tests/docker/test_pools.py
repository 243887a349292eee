"""Templates of work pools: what Prefect and its workers make of them, down to the container or the job."""

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any
from uuid import uuid4

import pytest
import yaml
from compose_file import DOCKER, read

FLOW_RUN = uuid4()
AUTH = "someone:planted-7c1d"


def template(kind: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DOCKER / "pools" / f"{kind}.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture
def connected() -> Iterator[None]:
    """As a worker on the machine of compose's server is."""
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: "http://localhost:4200/api", PREFECT_API_AUTH_STRING: AUTH}):
        yield


def configured(kind: str, **values: Any) -> Any:
    """The job that a worker of this kind would start for a flow run."""
    from prefect.client.schemas.objects import Flow, FlowRun

    worker = getattr(import_module(f"prefect_{kind}.worker"), f"{kind.capitalize()}Worker")
    configuration = worker.job_configuration
    job = asyncio.run(configuration.from_template_and_values(template(kind), values, client=object()))
    flow = Flow(id=uuid4(), name="two-stage-tinybert", labels={})
    job.prepare_for_flow_run(FlowRun(id=FLOW_RUN, flow_id=flow.id, name="tiny-otter"), flow=flow)
    return job


@pytest.mark.parametrize("kind", ["docker", "kubernetes"])
def test_prefects_server_takes_the_template(kind: str) -> None:
    from prefect.server.schemas.actions import WorkPoolCreate

    WorkPoolCreate(name="gpus", type=kind, base_job_template=template(kind))
    unknown = template(kind)
    del unknown["variables"]["properties"]["gpus"]
    with pytest.raises(ValueError, match="gpus"):
        WorkPoolCreate(name="gpus", type=kind, base_job_template=unknown)


@pytest.mark.parametrize("kind", ["docker", "kubernetes"])
def test_a_variable_of_another_kind_is_refused(kind: str) -> None:
    from jsonschema import ValidationError
    from prefect.client.schemas.actions import DeploymentUpdate

    DeploymentUpdate(job_variables={"gpus": 4, "image": "other:1.2"}).check_valid_configuration(template(kind))
    with pytest.raises(ValidationError, match="many"):
        DeploymentUpdate(job_variables={"gpus": "many"}).check_valid_configuration(template(kind))


@pytest.mark.parametrize("kind", ["docker", "kubernetes"])
def test_every_field_of_the_job_is_one_the_worker_knows(kind: str) -> None:
    worker = getattr(import_module(f"prefect_{kind}.worker"), f"{kind.capitalize()}Worker")
    assert set(template(kind)["job_configuration"]) <= set(worker.job_configuration.model_fields)
    assert not [name for name in template(kind)["variables"]["properties"] if "secret" in name and name != "secret"]


@pytest.mark.usefixtures("connected")
def test_a_container_gets_its_gpus_the_store_and_a_process_each() -> None:
    from docker.models.containers import _create_container_args
    from prefect_docker.worker import DockerWorker

    job = configured("docker", gpus=2, volumes=["tinybert_store:/srv/tinybert/artifacts"])
    worker = DockerWorker("gpus", test_mode=True)
    made = _create_container_args(worker._build_container_settings(None, job) | {"version": "1.47"})
    assert made["command"] == "torchrun --standalone --nproc-per-node 2 -m flows.job"
    host = made["host_config"]
    (request,) = host["DeviceRequests"]
    assert (request["Driver"], request["Count"], request["Capabilities"]) == ("nvidia", 2, [["gpu"]])
    assert host["Binds"] == ["tinybert_store:/srv/tinybert/artifacts"]
    assert host["ShmSize"] == 2 * 1024**3
    assert (host["CapDrop"], host["SecurityOpt"]) == (["ALL"], ["no-new-privileges:true"])
    assert made["hostname"] == read()["services"]["worker"]["hostname"]
    assert made["environment"]["PREFECT__FLOW_RUN_ID"] == str(FLOW_RUN)
    assert made["environment"]["TINYBERT_HOME"].startswith("/srv/tinybert/cache/")
    assert made["environment"]["PREFECT_API_URL"] == "http://server:4200/api"  # as compose's network calls it
    assert made["networking_config"] == {"tinybert_default": None}


def test_what_containers_share_with_compose_is_called_as_there() -> None:
    compose, variables = read(), template("docker")["variables"]["properties"]
    mounted = dict(volume.split(":")[:2] for volume in variables["volumes"]["default"])
    assert mounted == {
        f"{compose['name']}_{name}": place
        for name, place, *_ in (volume.split(":") for volume in compose["services"]["worker"]["volumes"])
        if name in compose["volumes"]
    }
    assert variables["networks"]["default"] == [f"{compose['name']}_default"]


@pytest.mark.usefixtures("connected")
def test_a_kubernetes_job_is_one_that_kubernetes_knows() -> None:
    job = configured("kubernetes", gpus=4, backoff_limit=3)
    # Prefect wants these two where its own template has them; Kubernetes overlooks them there.
    prefects = ["spec.template.spec.parallelism", "spec.template.spec.completions"]
    assert unknown_keys(job.job_manifest, "V1Job") == prefects
    spec = job.job_manifest["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert container["args"] == ["torchrun", "--standalone", "--nproc-per-node", "4", "-m", "flows.job"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 4
    assert container["resources"]["requests"]["nvidia.com/gpu"] == 4
    claims = {one["name"]: one.get("persistentVolumeClaim", {}).get("claimName") for one in pod["volumes"]}
    assert claims == {"store": "tinybert-store", "data": "tinybert-data", "cache": None, "shm": None}
    assert {one["name"] for one in container["volumeMounts"]} == set(claims)
    assert {"name": "PREFECT__FLOW_RUN_ID", "value": str(FLOW_RUN)} in container["env"]
    assert container["envFrom"] == [{"secretRef": {"name": "tinybert"}}]
    assert pod["securityContext"]["runAsUser"] == 10001
    assert spec["backoffLimit"] == 3


def test_the_readme_names_settings_that_keep_the_password_out_of_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect_kubernetes.settings import KubernetesSettings

    text = (DOCKER / "README.md").read_text(encoding="utf-8")
    for name, value in re.findall(r"`(PREFECT_INTEGRATIONS_KUBERNETES\w+)=(\w+)`", text):
        monkeypatch.setenv(name, value)
    worker = KubernetesSettings().worker
    assert worker.api_auth_string_secret_name == template("kubernetes")["variables"]["properties"]["secret"]["default"]
    assert f"--from-literal={worker.api_auth_string_secret_key}=..." in text


def test_the_claims_are_those_that_a_job_mounts() -> None:
    claims = list(yaml.safe_load_all((DOCKER / "pools" / "kubernetes-claims.yaml").read_text(encoding="utf-8")))
    assert [unknown_keys(claim, "V1PersistentVolumeClaim") for claim in claims] == [[], []]
    variables = template("kubernetes")["variables"]["properties"]
    wanted = {variables[name]["default"] for name in ("store_claim", "data_claim")}
    assert {claim["metadata"]["name"] for claim in claims} == wanted


def test_a_block_fills_in_a_secret_that_the_template_does_not_hold() -> None:
    from prefect.utilities.templating import find_placeholders

    (found,) = find_placeholders("{{ prefect.blocks.secret.hf-token }}")
    assert found.type.name == "BLOCK_DOCUMENT"


def test_a_misspelt_key_of_a_manifest_would_be_noticed() -> None:
    assert unknown_keys({"spec": {"templte": {}, "template": {"spec": {"volumes": [{"nam": 1}]}}}}, "V1Job") == [
        "spec.templte",
        "spec.template.spec.volumes.0.nam",
    ]


def unknown_keys(value: Any, kind: str, place: str = "") -> list[str]:
    """Keys of a manifest that the Kubernetes API has no field for."""
    from kubernetes_asyncio.client import models

    if kind.startswith("list["):
        return [key for n, each in enumerate(value) for key in unknown_keys(each, kind[5:-1], f"{place}{n}.")]
    model = getattr(models, kind, None)
    if model is None or not isinstance(value, Mapping):
        return []
    fields = {spelt: model.openapi_types[name] for name, spelt in model.attribute_map.items()}
    return [
        found
        for key, each in value.items()
        for found in (unknown_keys(each, fields[key], f"{place}{key}.") if key in fields else [place + key])
    ]
