"""Files at addresses: models, tables and reports at an S3 server on loopback, and what goes wrong there."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import neurona
from conftest import Neurona
from neurona import remote
from neurona.data import Dataset
from neurona.errors import DataError, MissingExtraError, UsageError
from neurona.files import beside, check_place, read_whole, size, write_whole
from neurona.study import Study

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning:(botocore|moto)")


def test_a_file_is_written_and_read_whole(bucket: str) -> None:
    place = f"{bucket}/a folder that nobody made/ñandú.bin"
    check_place(place)
    for content in (b"first", b"and a longer second", b""):
        write_whole(content, place)
        assert read_whole(place, most=100) == content
        assert size(place) == len(content)
    assert beside(place, "other.bin") == f"{bucket}/a folder that nobody made/other.bin"


def test_more_than_is_allowed_is_not_read(bucket: str) -> None:
    write_whole(b"0123456789", f"{bucket}/ten")
    assert read_whole(f"{bucket}/ten", most=10) == b"0123456789"
    with pytest.raises(DataError, match=r"s3://labs/ten: it has more bytes than the 9 that are read"):
        read_whole(f"{bucket}/ten", most=9)


def test_a_large_file_goes_in_parts(bucket: str) -> None:
    """S3 takes what is larger than a part of s3fs' (50 MB) in several."""
    content = np.random.default_rng(0).bytes(60_000_000)
    write_whole(content, f"{bucket}/large")
    assert read_whole(f"{bucket}/large", most=len(content)) == content


def test_from_training_to_the_page_with_addresses_alone(bucket: str, program: Neurona, tmp_path: Path) -> None:
    model = f"{bucket}/student/model.safetensors"
    trained = program("train", "--hidden", "10", "--epochs", "1", "--save", model, "--json")
    assert trained.returncode == 0, trained.stderr
    exported = program("export", model, "--output", f"{bucket}/page.html", "--card", f"{bucket}/card.md", "--json")
    assert exported.returncode == 0, exported.stderr
    document = json.loads(exported.stdout)
    page = read_whole(f"{bucket}/page.html", most=10_000_000)
    assert page.startswith(b"<!doctype html>")
    assert (document["output"], document["bytes"]) == (f"{bucket}/page.html", len(page))
    assert read_whole(f"{bucket}/card.md", most=100_000).startswith(b"# Model card")
    from PIL import Image

    Image.fromarray(neurona.load("mnist").validation.images[0]).save(tmp_path / "digit.png")
    predicted = program("predict", model, "digit.png", "--json")
    assert predicted.returncode == 0, predicted.stderr
    assert json.loads(predicted.stdout)[0]["image"] == "digit.png"


def test_a_lab_s_table_and_report_go_there(bucket: str, program: Neurona, small_study: Study, small: Dataset) -> None:
    words = ("lab", "--only", "sigmoid", "--seeds", "2", "--epochs", "1", "--no-report", "--export")
    table = f"{bucket}/table.csv"
    assert program(*words, table).returncode == 0
    assert read_whole(table, most=100_000).startswith(b"name,")
    reported = program("report", "--output", f"{bucket}/report.html")
    assert reported.returncode == 0, reported.stderr
    assert f"The report is in {bucket}/report.html" in reported.stdout
    assert neurona.write_report(small_study, f"{bucket}/small.html", data=small) == f"{bucket}/small.html"
    assert b"<h1>" in read_whole(f"{bucket}/small.html", most=20_000_000)
    opening = program("report", "--output", f"{bucket}/report.html", "--open")
    assert opening.returncode == 2
    assert "--open opens a file of this machine" in opening.stderr


def test_the_best_model_and_its_student_go_there(bucket: str, program: Neurona) -> None:
    model = f"{bucket}/best.safetensors"
    words = ("--epochs", "1", "--hidden", "16", "--distill", "1x8", "--output", model, "--json")
    made = program("best", *words)
    assert made.returncode == 0, made.stderr
    first, second = json.loads(made.stdout)["files"]
    assert (first, second) == (model, f"{bucket}/champion-1x8.safetensors")
    assert neurona.load_model(second).network.hidden == (8,)


def test_the_page_offers_a_model_at_an_address(bucket: str, small_study: Study) -> None:
    from neurona.study import model_of
    from neurona.web import Settings, create_app

    model = model_of(small_study, small_study.experiments()[0].name)
    model.save(f"{bucket}/offered.safetensors")
    assert neurona.load_model(f"{bucket}/offered.safetensors").to_bytes() == model.to_bytes()
    app = create_app(Settings(models=(f"{bucket}/offered.safetensors",)))
    assert [offer.name for offer in app.state.desk.models.offers()] == ["offered"]


def test_what_cannot_be_written_or_read_is_said_in_a_line(bucket: str, program: Neurona) -> None:
    nowhere = "s3://there-is-no-such-bucket/model.safetensors"
    with pytest.raises(UsageError, match=r"s3://there-is-no-such-bucket/model.safetensors cannot be written: .*bucket"):
        write_whole(b"", nowhere)
    with pytest.raises(DataError, match=r"s3://there-is-no-such-bucket/model.safetensors: it cannot be read: "):
        neurona.load_model(nowhere)
    failed = program("predict", f"{bucket}/missing.safetensors", "digit.png")
    assert failed.returncode == 2
    assert failed.stderr.count("\n") == 1
    assert failed.stderr.endswith("it cannot be read: No such file or directory (labs/missing.safetensors).\n")


def test_an_address_that_nobody_knows_is_refused_before_anything_is_trained(program: Neurona) -> None:
    refused = program("train", "--save", "nowhere://labs/model.safetensors")
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert (
        "nowhere://labs/model.safetensors: files at addresses that begin with nowhere:// are unknown" in refused.stderr
    )


def test_what_is_there_stays_when_writing_fails(tmp_path: Path) -> None:
    address = (tmp_path / "model").as_uri()
    remote.write(b"first", address)
    with pytest.raises(UsageError, match="cannot be written"):
        remote.write("no bytes", address)  # type: ignore[arg-type]
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("model", b"first")]


def test_the_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "fsspec.core", None)
        with pytest.raises(MissingExtraError, match=r"pip install 'neurona\[s3\]'"):
            check_place("s3://labs/model")
    with pytest.raises(MissingExtraError, match=r"gs://labs/model: .*gcsfs"):
        check_place("gs://labs/model")
