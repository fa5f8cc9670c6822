"""The champion: planned by the time, trained in stages, killed and resumed, calibrated, tested behind the seal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from scipy import special

import neurona
from neurona.champion import Champion, MemberEnded, MemberEpoch, Options, Plan, Planned
from neurona.champion.plan import epoch_seconds
from neurona.champion.recipes import network, settled, training
from neurona.champion.stages import Stages, _fitting, _task
from neurona.data import Dataset
from neurona.errors import NeuronaError, StoreError, UsageError
from neurona.insight import answered, temperature
from neurona.model import View, load_model
from neurona.store import Owner, put_champion
from neurona.study import assembled

SMALL: dict[str, Any] = {"minutes": None, "epochs": 2, "hidden": (24, 16)}


@pytest.fixture
def study(small_lab: neurona.Lab, small: Dataset, tmp_path: Path) -> neurona.Study:
    return small_lab.open_study(small, study=tmp_path / "study")


@pytest.fixture(scope="module")
def champion(small_lab: neurona.Lab, small: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Champion:
    """Two members that went on with the validation images, with views, and a student."""
    opened = small_lab.open_study(small, study=tmp_path_factory.mktemp("champion") / "study")
    return neurona.best(opened, data=small, members=2, views=True, distill=(12,), **SMALL)


def test_its_figures_are_those_of_members_that_had_not_seen_validation(champion: Champion, small: Dataset) -> None:
    study, record, split = champion.study, champion.record, small.validation
    firsts = tuple(study.store.weights(member.runs[0]) for member in record.members)
    assert record.views[0] == View()
    assert len(record.views) == 7
    watched = replace(champion.model, members=firsts)
    answers = watched.probabilities(split.images)
    assert record.metrics["val_accuracy"] == (answers.argmax(axis=1) == split.labels).mean()
    assert record.metrics["val_loss"] == pytest.approx(
        -np.log(answers[np.arange(len(split)), split.labels]).mean(), abs=1e-6
    )
    for factor in (0.8, 1.25):  # no other temperature does better
        other = replace(watched, temperature=record.temperature * factor).probabilities(split.images)
        assert -np.log(other[np.arange(len(split)), split.labels]).mean() > record.metrics["val_loss"]
    for member, parameters in zip(record.members, firsts, strict=True):
        alone = answered(record.network, parameters, split.images, split.labels)
        assert member.val_accuracy == pytest.approx(alone.accuracy)
        assert member.val_loss != alone.loss  # which is the training's, with its smoothing


def test_members_go_on_with_validation_images(champion: Champion, small: Dataset) -> None:
    study = champion.study
    both = small.with_validation()
    assert len(both.train) == len(small.train) + len(small.validation)
    assert np.array_equal(both.train.images[: len(small.train)], small.train.images)
    assert np.array_equal(both.train.labels[len(small.train) :], small.validation.labels)
    assert both.fingerprint != small.fingerprint
    for member, final in zip(champion.record.members, champion.model.members, strict=True):
        first, last = member.runs
        assert member.epochs == (2, 1)
        again = neurona.train(
            champion.plan.network,
            champion.plan.settled(),
            both,
            seed=member.seed,
            initial=study.store.weights(first),
        )
        assert np.array_equal(again.parameters[0]["kernel"], final[0]["kernel"])
        assert study.store.weight_hashes()[last] == member.sha256
    assert study.verify() == []


def test_the_card_says_that_validation_was_seen(champion: Champion, small: Dataset) -> None:
    from neurona.exports.card import card

    assert "It was trained on these images too" in card(champion.model, small)
    assert "It was trained on these images too" not in card(champion.study.champion_model("champion-1x12"), small)


def test_the_report_has_a_section_on_it(champion: Champion, small: Dataset, tmp_path: Path) -> None:
    text = neurona.write_report(champion.study, tmp_path / "report.html", data=small).read_text(encoding="utf-8")
    assert "The best models" in text
    wrong = round((1 - champion.record.metrics["val_accuracy"]) * 330)
    assert f"On 330 validation images {wrong} are wrong" in text
    assert "champion-1x12" in text


def test_the_student_learns_the_answers(champion: Champion) -> None:
    student = champion.student
    assert student is not None
    assert student.name == "champion-1x12"
    assert student.network.hidden == (12,)
    assert set(champion.study.champions()) == {"champion", "champion-1x12"}
    assert (champion.model.saw_validation, champion.study.champion_model(student.name).saw_validation) == (True, False)
    assert champion.study.champion_model("champion-1x12").parameters == 784 * 12 + 12 + 130
    assert 0.1 < student.metrics["val_accuracy"] < 1.0
    assert any("champion-1x12" in line for line in champion.sentences())


def test_what_is_asked_again_is_there(champion: Champion, small: Dataset) -> None:
    events: list[object] = []
    again = neurona.best(
        champion.study, data=small, members=2, views=True, distill=(12,), on_event=events.append, **SMALL
    )
    assert again.record == champion.record
    assert not any(isinstance(event, MemberEpoch) for event in events)
    with pytest.raises(UsageError, match=r"begun with another members, views"):
        neurona.best(champion.study, data=small, members=3, distill=(12,), **SMALL)


def test_workers_change_no_bit(study: neurona.Study, champion: Champion, small: Dataset) -> None:
    one = neurona.best(study, data=small, members=2, views=True, distill=(12,), workers=1, **SMALL)
    assert [member.sha256 for member in one.record.members] == [m.sha256 for m in champion.record.members]
    assert one.student is not None
    assert champion.student is not None
    assert one.student.members[0].sha256 == champion.student.members[0].sha256


@pytest.mark.parametrize("stage", ["first", "settling", "student"])
def test_stopped_in_any_stage_it_goes_on_to_the_same_bits(
    study: neurona.Study, champion: Champion, small: Dataset, stage: str
) -> None:
    def stop(event: object) -> None:
        if isinstance(event, MemberEpoch) and event.stage == stage:
            raise KeyboardInterrupt

    asked = {"data": small, "members": 2, "views": True, "distill": (12,), **SMALL}
    with pytest.raises(KeyboardInterrupt):
        neurona.best(study, on_event=stop, **asked)
    assert all(run.state != "running" for run in study.store.runs())
    done = neurona.best(study, **asked)
    assert [member.sha256 for member in done.record.members] == [m.sha256 for m in champion.record.members]
    assert done.record.metrics == champion.record.metrics


def test_a_member_of_another_process_is_left_to_it(study: neurona.Study, small: Dataset) -> None:
    def claim(event: object) -> None:
        if isinstance(event, Planned):
            parent = psutil.Process(os.getppid())
            other = replace(Owner.this_process(), process=parent.pid, started=parent.create_time())
            task = _task(0, event.plan.network, event.plan.training, small.fingerprint)
            assert study.store.claim(task, other)

    with pytest.raises(StoreError, match="another process trains the member with seed 0"):
        neurona.best(study, data=small, on_event=claim, **SMALL)


def test_a_run_that_is_late_is_shortened(study: neurona.Study, small: Dataset) -> None:
    """It has been given less time than one epoch takes: the second is its last, and nothing else stays behind."""
    its = network("augmented", (16,))
    plan = Plan("augmented", its, training("augmented", (28, 28), 50), 0, (4,), 1, member_seconds=1e-4)
    shortened: list[tuple[str, int, int]] = []
    stages = make(study, small, plan, lambda *about: shortened.append(about))
    (member,) = stages.members()
    assert shortened == [("first", 4, 2)]
    assert member.epochs == (2,)
    (run,) = study.store.runs()
    assert (run.state, len(run.epochs)) == ("complete", 2)
    assert [len(layers) for layers in study.run_norms(run.id)] == [2, 2]
    assert make(study, small, plan, shortened={("first", 4): 2}).members() == (member,)


def test_a_run_that_was_shortened_in_a_slow_hour_is_lengthened(study: neurona.Study, small: Dataset) -> None:
    its = network("augmented", (16,))
    plan = Plan("augmented", its, training("augmented", (28, 28), 8), 0, (4,), 1, member_seconds=1e4)
    changed: list[tuple[str, int, int]] = []
    (member,) = make(study, small, plan, lambda *about: changed.append(about), {("first", 4): 3}).members()
    assert changed == [("first", 4, 8)]
    assert member.epochs == (8,)
    (run,) = study.store.runs()
    assert (run.state, len(run.epochs)) == ("complete", 8)


def make(
    study: neurona.Study,
    data: Dataset,
    plan: Plan,
    on_shortened: Callable[[str, int, int], None] = lambda *about: None,
    shortened: dict[tuple[str, int], int] | None = None,
) -> Stages:
    return Stages(
        study.store,
        data,
        plan,
        shortened=shortened or {},
        on_shortened=on_shortened,
        on_event=lambda event: None,
    )


@pytest.mark.parametrize(
    ("planned", "most", "taken", "seconds", "expected"),
    [
        (10, 10, [1.0], 10.0, 10),  # just in time
        (10, 10, [1.0], 9.9, 10),  # late by less than a fiftieth
        (10, 10, [1.0], 100.0, 10),
        (10, 10, [1.0], 5.0, 5),
        (10, 10, [1.0, 1.0, 3.0, 3.0, 3.0, 3.0, 3.0], 20.0, 8),  # it has become slower
        (10, 10, [4.0], 1.0, 1),
        (100, 200, [1.0], 109.9, 100),  # too few more
        (100, 200, [1.0], 110.0, 110),
        (100, 200, [1.0], 500.0, 200),
        (10, 20, [1.0] * 5, 20.0, 10),  # too late for more
    ],
)
def test_how_many_epochs_there_is_time_for(
    planned: int, most: int, taken: list[float], seconds: float, expected: int
) -> None:
    assert _fitting(planned, most, taken, seconds) == expected


def test_minutes_become_a_plan(study: neurona.Study, small: Dataset) -> None:
    events: list[object] = []
    found = neurona.best(study, data=small, minutes=0.05, on_event=events.append)
    plan = events[0].plan  # type: ignore[attr-defined]
    assert plan == found.plan
    assert plan.network.hidden in {(256, 256), (512, 512), (1024, 1024), (2048, 1024)}
    assert plan.member_seconds == pytest.approx(3.0)
    assert plan.first_seconds + plan.settle_seconds == pytest.approx(3.0)
    assert plan.training.epochs >= 1
    assert isinstance(events[-1], MemberEnded)
    assert epoch_seconds(plan.network, plan.training, small, 1) > 0


def test_the_better_of_a_finalist_and_the_built_in_recipe_is_taken(
    study: neurona.Study, small: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    from neurona.champion import plan as plans

    finalist = neurona.Experiment(name="search-1", group="search", network=neurona.Network(hidden=(20,)))
    monkeypatch.setattr(plans, "_best_finalist", lambda study: finalist)
    asked = Options(minutes=None, epochs=40)
    scores = {"search": 0.9, "augmented": 0.8}
    monkeypatch.setattr(plans, "_tried", lambda plan, data: scores[plan.recipe])
    assert plans.chosen(asked, study, small).network.hidden == (20,)
    scores["augmented"] = 0.95
    assert plans.chosen(asked, study, small).recipe == "augmented"
    assert plans.chosen(replace(asked, recipe="search"), study, small).recipe == "search"
    monkeypatch.undo()
    with pytest.raises(UsageError, match="no finalists"):
        plans.chosen(replace(asked, recipe="search"), study, small)


def test_the_seal_opens_for_a_champion_beside_an_experiment(
    small_lab: neurona.Lab, mnist: Dataset, tmp_path: Path
) -> None:
    """The oracle is the model itself on the test images; the record names every member's weights."""
    from neurona.sealed import read_test

    lab = small_lab.replace(experiments=small_lab.experiments[:1])
    quick = lab.baseline.replace(training=neurona.Training(epochs=1, batch_size=1000))
    lab = lab.replace(experiments=(quick,))
    study = lab.run(seeds=1, data=mnist, study=tmp_path / "sealed")
    asked: dict[str, Any] = {**SMALL, "epochs": 1, "recipe": "permutation-invariant", "with_validation": False}
    found = neurona.best(study, data=mnist, members=2, **asked)
    seal = study.open_seal(["baseline", "champion"], "a test of the seal", data=mnist)
    test = read_test(mnist)
    answers = found.model.probabilities(test.images)
    (tested,) = seal.champions
    assert tested.accuracy.value == (answers.argmax(axis=1) == test.labels).mean()
    assert tested.loss == pytest.approx(-np.log(answers[np.arange(len(test)), test.labels]).mean(), rel=1e-5)
    assert len(tested.member_accuracies) == 2
    assert [model.experiment for model in seal.opening.models] == ["baseline", "champion", "champion"]
    assert {model.sha256 for model in seal.opening.models[1:]} == {m.sha256 for m in found.record.members}
    (pair,) = seal.pairs
    assert (pair.first, pair.second) == ("baseline", "champion")
    assert "champion: " in repr(seal)
    assert study.verify() == []
    alone = found.test("once more", data=mnist)
    assert alone.experiments == ()
    assert "opening 2" in repr(alone)
    json.dumps(alone.to_json())


def test_a_champion_that_is_not_trained_is_not_tested(study: neurona.Study, small: Dataset) -> None:
    def stop(event: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        neurona.best(study, data=small, on_event=stop, **SMALL)
    assert not study.champions()["champion"].is_ready
    with pytest.raises(UsageError, match="not trained to its end"):
        study.open_seal(["champion"], "too early", data=small)
    with pytest.raises(UsageError, match="no champion 'champion' that is trained"):
        study.champion_model("champion")
    assert study.openings() == ()


def test_a_member_that_diverges_ends_it(study: neurona.Study, small: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def wild(*about: Any) -> neurona.Training:
        return neurona.Training(epochs=2, l2=100.0, optimizer={"name": "sgd", "learning_rate": 999.0})

    from neurona.champion import plan as plans

    monkeypatch.setattr(plans, "training", wild)
    with pytest.raises(NeuronaError, match="member with seed 0 diverged"):
        neurona.best(study, data=small, recipe="augmented", **SMALL)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"minutes": 0}, "above 0"),
        ({"minutes": float("nan")}, "above 0"),
        ({"minutes": 5, "epochs": 3}, "one of the two"),
        ({"minutes": None}, "one of the two"),
        ({"members": 0}, "members must be 1 to 100"),
        ({"recipe": "magic"}, "no recipe 'magic'"),
        ({"hidden": (0,)}, "1 to 65,536 units"),
        ({"distill": (70_000,)}, "1 to 65,536 units"),
        ({"seed": -1}, "seed must be 0 or more"),
    ],
)
def test_what_cannot_be_is_refused(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Options(**asked)


def test_names_that_cannot_be_are_refused(small_study: neurona.Study, small: Dataset) -> None:
    with pytest.raises(UsageError, match="champion's name may hold"):
        neurona.best(small_study, data=small, name="../x", **SMALL)
    with pytest.raises(UsageError, match="an experiment of the study is called 'wide'"):
        neurona.best(small_study, data=small, name="wide", **SMALL)


def test_a_plan_is_kept_as_it_was() -> None:
    plan = Plan(
        "augmented",
        network("augmented", (64, 32)),
        training("augmented", (28, 28), 7),
        2,
        (3, 4),
        2,
        30.0,
        neurona.Network(hidden=(8,)),
        training("permutation-invariant", (8, 8), 5),
        6.0,
    )
    assert Plan.read(json.loads(json.dumps(plan.to_json()))) == plan
    assert settled(plan.training, 2).optimizer.learning_rate == pytest.approx(0.0003)
    assert settled(plan.training, 2).epochs == 2


def test_the_temperature_of_several_is_that_of_their_mean(small: Dataset) -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 10, 400)
    scores = generator.normal(0, 4, (3, 400, 10))
    scores[:, np.arange(400), labels] += 3

    def loss(divisor: float) -> float:
        answers = special.softmax(scores / divisor, axis=-1).mean(axis=0)
        return float(-np.log(answers[np.arange(400), labels]).mean())

    found = temperature(scores, labels.astype(np.int32))
    grid = np.exp(np.linspace(-1, 3, 4001))
    assert found == pytest.approx(grid[np.argmin([loss(each) for each in grid])], rel=2e-3)


LAB = """
[lab]
name = "mine"
dataset = "small.npz"
[baseline]
network = { hidden = [16] }
training = { epochs = 1 }
[[experiment]]
name = "wide"
network.hidden = [32]
"""


@pytest.fixture
def lab_of_its_own(small: Dataset, tmp_path: Path) -> None:
    split = small.train
    np.savez(
        tmp_path / "small.npz",
        x_train=split.images[:900],
        y_train=split.labels[:900],
        x_test=split.images[900:],
        y_test=split.labels[900:],
    )
    (tmp_path / "lab.toml").write_text(LAB)


@pytest.mark.usefixtures("lab_of_its_own")
def test_killed_where_it_stands_it_ends_in_the_same_bits(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "neurona", "best", "lab.toml", "--epochs", "30", "--hidden", "16"]
    command += ["--members", "2", "--distill", "1x8", "--workers", "1", "--study"]
    subprocess.run([*command, "whole"], cwd=tmp_path, capture_output=True, check=True)
    stages = []
    for lines in (3, 3, 4):  # of what it says, after which it is killed: it trains by then
        with subprocess.Popen([*command, "killed"], cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            stages.append([process.stderr.readline() for _line in range(lines)][-1])
            process.kill()
    assert any("training" in stage for stage in stages), stages
    subprocess.run([*command, "killed"], cwd=tmp_path, capture_output=True, check=True)
    for name in ("champion.safetensors", "champion-1x8.safetensors"):
        whole, killed = (load_model(tmp_path / study / name) for study in ("whole", "killed"))
        assert killed.temperature == whole.temperature
        assert killed.metrics == whole.metrics
        for ours, theirs in zip(killed.members, whole.members, strict=True):
            assert all(
                np.array_equal(a[key], b[key]) for a, b in zip(ours, theirs, strict=True) for key in a.keys() | b.keys()
            )


@pytest.mark.usefixtures("lab_of_its_own")
def test_the_command(program, tmp_path: Path) -> None:
    asked = ("best", "lab.toml", "--epochs", "1", "--hidden", "16", "--members", "2", "--distill", "1x8")
    done = program(*asked, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["champion"]["metrics"]["val_accuracy"] <= 1
    assert [Path(file).name for file in document["files"]] == ["champion.safetensors", "champion-1x8.safetensors"]
    model = load_model(tmp_path / document["files"][0])
    assert len(model.members) == 2
    study = neurona.Study.open(tmp_path / "neurona-studies" / "mine")
    assert model.to_bytes() == assembled(study.store, study.champions()["champion"]).to_bytes()
    shown = program(*asked, lang="es")
    assert shown.returncode == 0, shown.stderr
    assert "Campeón champion" in shown.stdout
    assert "imágenes de validación" in shown.stdout
    wrong = program("best", "lab.toml", "--epochs", "1", "--distill", "8")
    assert wrong.returncode == 2
    assert "--distill must be layers and units" in wrong.stderr


def test_a_record_that_was_edited_is_named(study: neurona.Study, small: Dataset) -> None:
    neurona.best(study, data=small, **SMALL)
    put_champion(study.store, "champion", {"network": 3})
    with pytest.raises(StoreError, match="record of the champion champion cannot be read"):
        study.champions()
