"""The server of the page: what it answers, whom it refuses, and that it goes on afterwards."""

from __future__ import annotations

import contextlib
import http.client
import json
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.testclient import TestClient

import neurona
from neurona.data import Dataset, Split
from neurona.errors import StoreError, UsageError
from neurona.model import Model
from neurona.store import Drawing, Drawings, Store
from neurona.web import Settings, connections, create_app
from neurona.web.endpoint import Refusal
from neurona.web.jobs import Job, Jobs
from neurona.web.neighbours import Neighbours
from neurona.web.security import HEADERS, preferred_language
from neurona.web.server import listening, prepared
from web_server import Server

LOCAL = "http://localhost"
BLANK = [0] * 784


@pytest.fixture(scope="module")
def model_file(small: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = neurona.train(neurona.Network(hidden=(16,)), neurona.Training(epochs=1), small, seed=0)
    path = tmp_path_factory.mktemp("model") / "first.safetensors"
    Model.of(run, small).save(path)
    return path


@pytest.fixture
def client(model_file: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(models=(model_file,))), base_url=LOCAL) as client:
        yield client


def still_serves(client: TestClient) -> bool:
    return client.get("/api/models").json()["models"] == [{"id": "file-1", "name": "first", "source": "file"}]


def test_the_page_and_its_files(client: TestClient) -> None:
    page = client.get("/", headers={"accept-language": "es-MX,es;q=0.9"})
    assert page.status_code == 200
    assert '<html lang="es">' in page.text
    assert '<html lang="en">' in client.get("/?lang=en", headers={"accept-language": "es"}).text
    for name, value in HEADERS.items():
        assert page.headers[name] == value
    assert "unsafe" not in HEADERS["content-security-policy"]
    module = client.get("/static/drawing/network.js")
    assert "export class Network" in module.text
    again = client.get("/static/drawing/network.js", headers={"if-none-match": module.headers["etag"]})
    assert again.status_code == 304
    for path in ("/static/../server.py", "/static/drawing/words.py", "/static/%2e%2e/page.py", "/static/"):
        assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("accepted", "language"),
    [("es", "es"), ("fr,es;q=0.5,en;q=0.4", "es"), ("en-GB,es;q=0.9", "en"), ("es;q=0,en", "en"), ("q=;;,", "en")],
)
def test_the_browsers_language(accepted: str, language: str) -> None:
    assert preferred_language(accepted) == language


def test_the_language_that_the_server_was_asked_for(model_file: Path) -> None:
    app = create_app(Settings(models=(model_file,), language="es"))
    with TestClient(app, base_url=LOCAL, headers={"accept-language": "en"}) as client:
        assert '<html lang="es">' in client.get("/").text
        assert '<html lang="en">' in client.get("/?lang=en").text


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "neurona@evil.example"])
def test_a_host_that_is_not_this_one_is_refused(host: str, client: TestClient) -> None:
    assert client.get("/", headers={"host": host}).status_code == 421
    assert still_serves(client)


@pytest.mark.parametrize("host", ["localhost", "localhost:8765", "127.0.0.1:80", "[::1]:8765"])
def test_the_names_of_this_one(host: str, client: TestClient) -> None:
    assert client.get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "https://localhost"},
        {"sec-fetch-site": "cross-site"},
    ],
)
def test_a_post_from_another_origin_is_refused(headers: dict[str, str], client: TestClient) -> None:
    answer = client.post("/api/predict", json={"images": [BLANK]}, headers=headers)
    assert answer.status_code == 403
    assert client.post("/api/predict", json={"images": [BLANK]}, headers={"origin": LOCAL}).status_code == 200


def test_beyond_this_machine_a_token_is_asked_for(model_file: Path) -> None:
    app = create_app(Settings(models=(model_file,), host="0.0.0.0", token="the-token"))  # noqa: S104, S106
    with TestClient(app, base_url="http://192.0.2.7:8765", follow_redirects=False) as client:
        for path in ("/", "/?token=wrong", "/static/page.js", "/api/models"):
            assert client.get(path).status_code == 401
        assert client.get("/api/models", headers={"authorization": "Bearer the-token"}).status_code == 200
        assert client.post("/api/predict?token=the-token", json={"images": [BLANK]}).status_code == 401
        led = client.get("/?lang=es&token=the-token")
        assert (led.status_code, led.headers["location"]) == (303, "/?lang=es")
        cookie = led.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert client.get("/").status_code == 200  # with the cookie
        assert client.get("//evil.example/?token=the-token").headers.get("location", "/") in ("/", "/?")


def question(**changes: Any) -> bytes:
    return json.dumps({"images": [BLANK]} | changes).encode()


@pytest.mark.parametrize(
    ("content", "kind", "status", "sentence"),
    [
        (b'{"images": [[' + b"NaN," * 783 + b"0]]}", "application/json", 400, "NaN is no number"),
        (question(images=[[0.5] * 784]), "application/json", 400, "images.0.0: must be a whole number"),
        (question(images=[[256] * 784]), "application/json", 400, "must be at most 255"),
        (question(images=[BLANK[1:]]), "application/json", 400, "28×28 = 784 pixels"),
        (question(images=[]), "application/json", 400, "at least 1"),
        (question(modle="first"), "application/json", 400, "Did you mean model?"),
        (question(model="none"), "application/json", 404, "there is no model 'none'"),
        (question(), "text/plain", 415, "takes JSON"),
        (b"[" * 200_000, "application/json", 400, "too deep"),
        (b'{"images": [], "images": []}', "application/json", 400, "a key twice"),
        (b'{"images": ', "application/json", 400, "no JSON document"),
        (b"[1]", "application/json", 400, "must be an object"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_cannot_be_answered_is_refused_with_a_sentence(
    content: bytes, kind: str, status: int, sentence: str, client: TestClient
) -> None:
    answer = client.post("/api/predict", content=content, headers={"content-type": kind})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert sentence in answer.json()["title"]
    assert still_serves(client)


def test_refusals_are_in_the_readers_language(client: TestClient) -> None:
    assert client.get("/api/models/x?lang=es").json()["title"] == "aquí no hay ningún modelo 'x'."


def test_100_megabytes_are_refused_unread(client: TestClient) -> None:
    def too_much() -> Iterator[bytes]:
        for _ in range(100):
            yield bytes(1_000_000)

    for path in ("/api/drawings", "/api/drawings.json"):
        declared = client.post(path, content=b"x", headers={"content-length": "100000000"})
        assert declared.status_code == 413
        assert client.post(path, content=too_much()).status_code == 413  # which says no length beforehand
    assert still_serves(client)


@pytest.mark.parametrize(
    "document",
    [
        {"image_shape": [60_000, 60_000], "drawings": [{"label": 1, "image": "AAAA", "strokes": []}]},
        {"image_shape": [10**400, 1], "drawings": [{"label": 1, "image": "AAAA", "strokes": []}]},
        {"image_shape": [28, 28], "drawings": [{"label": 1.5, "image": "A" * 1048, "strokes": []}]},
        {"image_shape": [28, 28], "drawings": [{"label": 1, "image": "é", "strokes": []}]},
        {"image_shape": [1, 3], "drawings": [{"label": 1, "image": "AAAA", "strokes": []}]},
        {"image_shape": [28, 28], "drawings": 7},
    ],
)
def test_an_image_bomb_or_a_foreign_file_is_refused(document: dict[str, Any], client: TestClient) -> None:
    content = json.dumps({"format": "neurona-drawings-1"} | document).encode()
    assert client.post("/api/drawings.json", content=content).status_code == 400
    assert client.get("/api/drawings").json()["drawings"] == []
    assert still_serves(client)


def test_an_answer_holds_no_path_and_no_traceback(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (StoreError("/home/somebody/study.db is broken"), RuntimeError("/home/somebody")):

        def fail(self: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr("neurona.web.album.Album.all", fail)
        answer = client.get("/api/drawings")
        assert answer.status_code == 500
        assert "somebody" not in answer.text
        assert "Traceback" not in answer.text


def test_predictions_are_the_models(client: TestClient, model_file: Path, mnist: Dataset) -> None:
    images = mnist.validation.images[:20]
    answer = client.post("/api/predict", json={"images": images.reshape(20, -1).tolist()}).json()
    model = neurona.load_model(model_file)
    np.testing.assert_allclose(answer["probabilities"], model.probabilities(images), atol=1e-6)
    assert answer["answers"] == [str(label) for label in model.predict(images)]
    described = client.get("/api/models/file-1").json()
    assert len(client.get("/api/models/file-1/weights").content) == 4 * described["parameters"]


def test_the_models_of_a_study_the_best_first(small_study: neurona.Study) -> None:
    with TestClient(create_app(Settings(study=small_study)), base_url=LOCAL) as client:
        offered = client.get("/api/models").json()["models"]
        assert offered[0]["name"] == "wide"
        assert {one["name"] for one in offered} == {"baseline", "wide", "slow"}
        accuracies = [client.get(f"/api/models/{one['id']}").json()["val_accuracy"] for one in offered]
        assert accuracies == sorted(accuracies, reverse=True)
        runs = [run.epochs[-1].val_accuracy for run in small_study.runs("wide")]
        assert accuracies[0] == max(runs)


def test_drawings_are_kept_in_the_study_and_go_out_and_in_as_a_file(
    small_study: neurona.Study, client: TestClient
) -> None:
    drawn = {"pixels": [7] * 784, "label": 3, "strokes": [[[0.1, 0.2], [0.3, 0.4]]]}
    with TestClient(create_app(Settings(study=small_study)), base_url=LOCAL) as served:
        kept = served.post("/api/drawings", json=drawn).json()
        assert kept["lasts"]
        assert served.post("/api/drawings", json=drawn).json() == kept  # the same is kept once
        (one,) = kept["drawings"]
        assert (one["label"], one["strokes"]) == (3, drawn["strokes"])
        file = served.get("/api/drawings.json").content
    with TestClient(create_app(Settings(study=small_study)), base_url=LOCAL) as served:
        assert served.get("/api/drawings").json() == kept  # another server, the same study
        assert served.get("/api/evaluation").json()["of"] == 1
        assert served.delete(f"/api/drawings/{one['id']}").status_code == 204
        assert served.delete(f"/api/drawings/{one['id']}").status_code == 404
    assert client.post("/api/drawings.json", content=file).json() == {"added": 1}
    imported = client.get("/api/drawings").json()
    assert (imported["drawings"], imported["lasts"]) == ([one], False)


def test_the_store_keeps_drawings(database: str) -> None:
    with_study = {"study": "s", "lab": "l", "dataset": "mnist", "fingerprint": "f"}
    drawings = Drawings(Store.open(database, **with_study), (2, 3))
    first = Drawing(1, np.arange(6, dtype=np.uint8).reshape(2, 3), (((0.5, 0.25),),))
    second = Drawing(2, first.image)
    drawings.add((first, second, first))
    found = {drawing.id: drawing for drawing in drawings.all()}
    assert set(found) == {first.id, second.id}
    assert found[first.id].strokes == first.strokes
    assert (found[first.id].image == first.image).all()
    assert drawings.remove(first.id)
    assert not drawings.remove(first.id)
    assert Drawings(Store.open(database, study="s"), (28, 28)).all() == ()


def test_neighbours_are_exact(mnist: Dataset) -> None:
    split = Split(mnist.train.images[:3000].copy(), mnist.train.labels[:3000].copy())
    index = Neighbours(split)
    flat = split.images.reshape(3000, -1) / 255.0
    for image in mnist.validation.images[:5]:
        distances = np.linalg.norm(flat - image.reshape(-1) / 255.0, axis=1)
        found = index.nearest(image, 7)
        assert [place for place, _distance in found] == list(np.argsort(distances)[:7])
        np.testing.assert_allclose([distance for _place, distance in found], np.sort(distances)[:7], rtol=1e-5)


def test_one_job_a_client_and_so_many_in_all() -> None:
    go_on = threading.Event()

    def work(job: Job) -> int:
        go_on.wait()
        return 7

    jobs = Jobs(workers=1, most_waiting=1)
    first = jobs.start("k", "one", work)
    with pytest.raises(Refusal, match="under way"):
        jobs.start("k", "one", work)
    second = jobs.start("k", "two", work)
    with pytest.raises(Refusal, match="too many"):
        jobs.start("k", "three", work)
    assert jobs.ahead_of(second) == 0
    second.stop()
    go_on.set()
    assert first.wait(60)
    assert second.wait(60)
    assert (first.state, first.result, second.state) == ("done", 7, "stopped")


def test_what_fails_in_a_job_is_told_without_a_path() -> None:
    def work(job: Job) -> None:
        raise StoreError("/home/somebody")

    jobs = Jobs()
    job = jobs.start("k", "one", work)
    assert job.wait(60)
    heard: list[Any] = []
    job.on_event(lambda *event: heard.append(event))
    job.tell("last")
    assert job.state == "failed"
    assert heard == [("last", {})]
    assert "somebody" not in json.dumps(job._events)


_FUZZED = schemathesis.openapi.from_asgi(
    "/api/openapi.json",
    create_app(Settings(models=())),
    headers={"host": "localhost"},
).exclude(path_regex="/api/tune")


@_FUZZED.parametrize()
@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_the_api_is_as_it_says(case: Any) -> None:
    checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
    answer = case.call(headers={"host": "localhost"})
    if answer.status_code != 503:  # said of a model that is not there yet
        case.validate_response(answer, checks=checks)


# A process, and its connections


@pytest.fixture(scope="module")
def page_server(model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = Server("--model", str(model_file), folder=tmp_path_factory.mktemp("served"))
    yield started
    started.stop()


def test_ten_thousand_connections_are_refused_and_others_served(page_server: Server) -> None:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    kept = http.client.HTTPConnection("127.0.0.1", page_server.port, timeout=60)
    kept.request("GET", "/api/models")
    assert kept.getresponse().read()
    held = []
    for _ in range(min(10_000, limit - 500)):
        held.append(socket.create_connection(("127.0.0.1", page_server.port), timeout=60))
    assert held[-1].recv(200).startswith(b"HTTP/1.1 503 ")
    kept.request("GET", "/api/models")  # while they are all open
    assert kept.getresponse().status == 200
    for one in held:
        one.close()
    kept.close()
    for _attempt in range(200):  # until it has seen that they are closed
        status, _document = page_server.ask("/api/models")
        if status == 200:
            break
    assert status == 200


def test_ctrl_c_ends_it_whoever_still_listens(tmp_path: Path) -> None:
    started = Server(folder=tmp_path)  # which trains the baseline
    _status, models = started.ask("/api/models")
    listening_on = socket.create_connection(("127.0.0.1", started.port), timeout=60)
    path = f"/api/jobs/{models['training']}/events"
    listening_on.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert b"200 OK" in listening_on.recv(100)
    code, said = started.stop()
    listening_on.close()
    assert code == 0
    assert "Traceback" not in said
    assert "the baseline is being trained" in said


def test_a_silent_client_is_let_go(model_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.3)
    answers = threading.Event()
    bound = listening("127.0.0.1", 0)
    running = prepared(create_app(Settings(models=(model_file,))), answers.set)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [bound]})
    thread.start()
    assert answers.wait(60)
    for said in (b"", b"GET / HTTP/1.1\r\nHost: loc"):
        with socket.create_connection(bound.getsockname(), timeout=60) as silent:
            silent.sendall(said)
            with contextlib.suppress(ConnectionResetError):
                assert silent.recv(100) == b""  # closed; a time-out would be an error
    running.should_exit = running.force_exit = True
    thread.join(60)
    assert not thread.is_alive()


def test_a_busy_port_names_the_next_free(tmp_path: Path) -> None:
    with listening("127.0.0.1", 0) as busy:
        busy.listen()
        port = busy.getsockname()[1]
        with pytest.raises(UsageError, match="is free: --port"):
            listening("127.0.0.1", port)
        command = [sys.executable, "-m", "neurona", "serve", "--no-browser", "--port", str(port)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "--port" in done.stderr


def served(folder: Path) -> tuple[list[str], str, tuple[int, str]]:
    """Return the names of the models that `neurona serve` offers there, the page, and how it ended."""
    server = Server(folder=folder)
    names = [model["name"] for model in server.ask("/api/models")[1]["models"]]
    page = server.ask("/", **{"accept-language": "es"})[1].decode()
    return names, page, server.stop()


def test_the_only_study_is_offered_unless_another_is_named(small_study: neurona.Study, tmp_path: Path) -> None:
    assert small_study.folder is not None
    copytree(small_study.folder, tmp_path / "neurona-studies" / "one")
    names, page, (code, said) = served(tmp_path)
    assert names == [offer.name for offer in create_app(Settings(study=small_study)).state.desk.models.offers()]
    assert '<html lang="en">' in page  # NEURONA_LANG, not the browser's
    assert (code, "The models are those of neurona-studies/one." in said) == (0, True)
    (tmp_path / "neurona-studies" / "one" / "study.db").write_bytes(b"no database")
    _names, _page, (code, said) = served(tmp_path)
    assert (code, "neurona-studies/one is not offered: " in said) == (0, True)
    copytree(small_study.folder, tmp_path / "neurona-studies" / "two")
    _names, _page, (code, said) = served(tmp_path)
    assert (code, "There are several studies" in said) == (0, True)
