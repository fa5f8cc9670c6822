"""The tab to draw in: what a model is and answers, examples, neighbours, and the reader's own drawings."""

from __future__ import annotations

import base64
import functools
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from neurona import drawing
from neurona.i18n import _
from neurona.model import Model
from neurona.specs import Spec
from neurona.store import Drawing
from neurona.web.album import FILE_BYTES
from neurona.web.desk import Desk, desk
from neurona.web.endpoint import Endpoint, Refusal
from neurona.web.jobs import Job, client_of
from neurona.web.models import Source
from neurona.web.shared import JobState, job_state
from neurona.web.tabs.draw_words import words

__all__ = ["ENDPOINTS", "title", "words"]

_WEIGHTS_BYTES = 256_000_000  # that a page is given
_MOST_IMAGES = 100  # in one question
_MOST_MEMBERS = 8  # of a model that may be trained further

Pixel = Annotated[int, Field(ge=0, le=255, strict=True)]
Pixels = Annotated[list[Pixel], Field(min_length=1, max_length=65_536)]
ModelId = Annotated[str, Field(min_length=1, max_length=128)]
Label = Annotated[int, Field(ge=0, lt=1_000, strict=True)]
Coordinate = Annotated[float, Field(ge=-1.0, le=2.0)]
Point = tuple[Coordinate, Coordinate]


class Described(BaseModel):
    """A model, as the page's `Network` takes it, and what is known of it."""

    id: str
    name: str
    source: Source
    image_shape: tuple[int, int]
    class_names: list[str]
    hidden: list[int]
    activations: list[str]
    normalization: Literal["batch", "layer"] | None
    residual: bool
    members: Annotated[int, Field(ge=1)]
    parameters: int
    dataset: str
    val_accuracy: float | None


class Question(Spec):
    """Images, each as its pixels row by row, and the model that is asked; the first on offer unless given."""

    images: Annotated[list[Pixels], Field(min_length=1, max_length=_MOST_IMAGES)]
    model: ModelId | None = None


class Answers(BaseModel):
    """For each image the answer and the probability of each class."""

    model: str
    class_names: list[str]
    answers: list[str]
    probabilities: list[list[float]]


class Example(BaseModel):
    """An image of the data set: its pixels, row by row, in base64."""

    index: int
    label: int
    name: str
    pixels: str


class Which(Spec):
    """Which examples: so many, the sample being the seed's; only of one class if said."""

    count: Annotated[int, Field(ge=1, le=100)] = 30
    seed: Annotated[int, Field(ge=0, le=2**31)] = 0
    label: Annotated[int, Field(ge=0, lt=1_000)] | None = None


class Near(Spec):
    """An image, as its pixels row by row, and how many neighbours are wanted."""

    pixels: Pixels
    count: Annotated[int, Field(ge=1, le=50, strict=True)] = 8


class Neighbour(Example):
    """A training image and its distance: Euclidean, of pixels from 0 to 1."""

    distance: float


class NewDrawing(Spec):
    """A drawing, as its pixels row by row, what it is, and how it was drawn."""

    pixels: Pixels
    label: Label
    strokes: Annotated[
        list[Annotated[list[Point], Field(max_length=20_000)]], Field(default_factory=list, max_length=500)
    ]


class KeptDrawing(BaseModel):
    """A drawing that is kept; its pixels in base64."""

    id: str
    label: int
    name: str
    pixels: str
    strokes: list[list[tuple[float, float]]]


class KeptDrawings(BaseModel):
    """The drawings; `lasts` says whether they are kept beyond the server's time."""

    drawings: list[KeptDrawing]
    lasts: bool


class Chosen(Spec):
    """The model that is asked; the first on offer unless given."""

    model: ModelId | None = None


class Evaluation(BaseModel):
    """How many of the drawings a model gets right, and its answer to each."""

    model: str
    right: int
    of: int
    answers: dict[str, int]


class Added(BaseModel):
    """How many drawings were in the file."""

    added: int


def title() -> str:
    """Return what the tab is called."""
    return _("Draw")


def _described(request: Request) -> Described:
    shelf, model_id = desk(request).models, request.path_params["model"]
    model = shelf.model(model_id)
    offer = next(offer for offer in shelf.offers() if offer.id == model_id)
    accuracy = model.metrics.get("val_accuracy")
    return Described(
        id=offer.id,
        name=offer.name,
        source=offer.source,
        parameters=model.parameters,
        dataset=model.dataset,
        val_accuracy=accuracy if isinstance(accuracy, float) else None,
        **drawing.description(model),
    )


def _weights(request: Request) -> bytes:
    model = desk(request).models.model(request.path_params["model"])
    if 4 * model.parameters * len(model.views) > _WEIGHTS_BYTES:
        raise Refusal(413, _("this model is too large for a page; `neurona predict` answers with it."))
    return drawing.weights(model)


def _predict(request: Request, question: Question) -> Answers:
    name, model = _asked(desk(request), question.model)
    probabilities = model.probabilities(_images(question.images, model.image_shape))
    answers = [model.class_names[index] for index in probabilities.argmax(axis=1)]
    return Answers(
        model=name, class_names=list(model.class_names), answers=answers, probabilities=probabilities.tolist()
    )


def _asked(at: Desk, model_id: str | None) -> tuple[str, Model]:
    """Return the model that is asked for and its id; the first on offer unless said."""
    if model_id is None:
        offers = at.models.offers()
        if not offers:
            raise Refusal(503, _("the first model is still being trained; ask again in a few seconds."))
        model_id = offers[0].id
    return model_id, at.models.model(model_id)


def _images(rows: list[list[int]], shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    height, width = shape
    if any(len(row) != height * width for row in rows):
        sentence = _("an image must have {height}×{width} = {pixels} pixels.")
        raise Refusal(400, sentence.format(height=height, width=width, pixels=height * width))
    return np.array(rows, np.uint8).reshape(-1, height, width)


def _examples(request: Request, which: Which) -> list[Example]:
    data = desk(request).data()
    labels = data.validation.labels
    chosen = np.arange(len(labels)) if which.label is None else np.flatnonzero(labels == which.label)
    picked = np.random.default_rng(which.seed).permutation(chosen)[: which.count]
    return [
        Example(
            index=int(index),
            label=int(labels[index]),
            name=data.class_names[labels[index]],
            pixels=_base64(data.validation.images[index]),
        )
        for index in picked
    ]


def _neighbours(request: Request, near: Near) -> list[Neighbour]:
    at = desk(request)
    data = at.data()
    (image,) = _images([near.pixels], data.image_shape)
    train = data.train
    return [
        Neighbour(
            index=index,
            label=int(train.labels[index]),
            name=data.class_names[train.labels[index]],
            pixels=_base64(train.images[index]),
            distance=distance,
        )
        for index, distance in at.neighbours().nearest(image, near.count)
    ]


def _drawings(request: Request) -> KeptDrawings:
    at = desk(request)
    names = at.data().class_names
    kept = [
        KeptDrawing(
            id=each.id,
            label=each.label,
            name=names[each.label],
            pixels=_base64(each.image),
            strokes=[list(stroke) for stroke in each.strokes],
        )
        for each in at.album.all()
    ]
    return KeptDrawings(drawings=kept, lasts=at.album.lasts)


def _add_drawing(request: Request, new: NewDrawing) -> KeptDrawings:
    at = desk(request)
    (image,) = _images([new.pixels], at.data().image_shape)
    at.album.add(Drawing(new.label, image, tuple(tuple(stroke) for stroke in new.strokes)))
    return _drawings(request)


def _remove_drawing(request: Request) -> None:
    desk(request).album.remove(request.path_params["drawing"])


def _export(request: Request) -> Response:
    headers = {"content-disposition": 'attachment; filename="drawings.json"'}
    return Response(desk(request).album.to_file(), headers=headers, media_type="application/json")


def _import(request: Request, content: bytes) -> Added:
    return Added(added=desk(request).album.from_file(content))


def _evaluate(request: Request, which: Chosen) -> Evaluation:
    at = desk(request)
    name, model = _asked(at, which.model)
    drawings = at.album.all()
    if not drawings:
        return Evaluation(model=name, right=0, of=0, answers={})
    _check_shape(model, at)
    answers = model.predict(np.stack([each.image for each in drawings]))
    right = sum(int(answer) == each.label for answer, each in zip(answers, drawings, strict=True))
    found = {each.id: int(answer) for answer, each in zip(answers, drawings, strict=True)}
    return Evaluation(model=name, right=right, of=len(drawings), answers=found)


def _tune(request: Request, which: Chosen) -> JobState:
    at = desk(request)
    name, model = _asked(at, which.model)
    drawings = at.album.all()
    if not drawings:
        raise Refusal(409, _("there are no drawings to learn from; say of some what they are."))
    _check_shape(model, at)
    if len(model.members) > _MOST_MEMBERS:
        sentence = _("a model that is trained further here may have {most} members, not {members}.")
        raise Refusal(400, sentence.format(most=_MOST_MEMBERS, members=len(model.members)))
    shown = next(offer.name for offer in at.models.offers() if offer.id == name)
    job = at.jobs.start("tune", client_of(request), functools.partial(_tuned, at, model, shown, drawings))
    return job_state(at.jobs, job)


def _tuned(at: Desk, model: Model, name: str, drawings: tuple[Drawing, ...], job: Job) -> dict[str, object]:
    from neurona.web.tuning import EPOCHS, tuned

    epochs = EPOCHS * len(model.members)
    found = tuned(
        model,
        drawings,
        at.data(),
        on_epoch=lambda number: job.tell("epoch", number=number, epochs=epochs),
        stop=job.asked_to_stop,
    )
    sentence = _("{name}, tuned on {count} drawings")
    offer = at.models.add(f"tuned-{job.id}", sentence.format(name=name, count=len(drawings)), found.model)
    result: dict[str, object] = {
        "model": offer.id,
        "name": offer.name,
        "drawings": vars(found.drawings),
        "validation": vars(found.validation),
    }
    job.tell("result", **result)
    return result


def _check_shape(model: Model, at: Desk) -> None:
    data = at.data()
    if (model.image_shape, model.classes) != (data.image_shape, data.classes):
        raise Refusal(400, _("this model is for other images than the drawings."))


def _base64(image: npt.NDArray[np.uint8]) -> str:
    return base64.b64encode(image.tobytes()).decode()


ENDPOINTS = (
    Endpoint("GET", "/api/models/{model}", _described, "A model: what it is.", gives=Described, statuses=(404,)),
    Endpoint(
        "GET",
        "/api/models/{model}/weights",
        _weights,
        "Its weights, float32 and little endian, member by member and layer by layer: kernel, bias, normalisation.",
        gives="application/octet-stream",
        statuses=(404, 413),
    ),
    Endpoint(
        "POST",
        "/api/predict",
        _predict,
        "What a model answers to images.",
        takes=Question,
        gives=Answers,
        body_bytes=_MOST_IMAGES * 65_536 * 4,
        statuses=(404, 503),
    ),
    Endpoint("GET", "/api/examples", _examples, "Images of the validation split.", takes=Which, gives=list[Example]),
    Endpoint(
        "POST",
        "/api/neighbours",
        _neighbours,
        "The training images nearest to an image.",
        takes=Near,
        gives=list[Neighbour],
    ),
    Endpoint("GET", "/api/drawings", _drawings, "The reader's own drawings.", gives=KeptDrawings),
    Endpoint(
        "POST",
        "/api/drawings",
        _add_drawing,
        "Keep a drawing and what it is.",
        takes=NewDrawing,
        gives=KeptDrawings,
        statuses=(429,),
    ),
    Endpoint("DELETE", "/api/drawings/{drawing}", _remove_drawing, "Remove a drawing.", statuses=(404,)),
    Endpoint("GET", "/api/drawings.json", _export, "All drawings as a file.", gives="application/json"),
    Endpoint(
        "POST",
        "/api/drawings.json",
        _import,
        "Add the drawings of a file.",
        takes=bytes,
        gives=Added,
        body_bytes=FILE_BYTES,
        statuses=(429,),
    ),
    Endpoint(
        "GET",
        "/api/evaluation",
        _evaluate,
        "How a model does on the drawings.",
        takes=Chosen,
        gives=Evaluation,
        statuses=(404, 503),
    ),
    Endpoint(
        "POST",
        "/api/tune",
        _tune,
        "Train a model further on the drawings; the result is another model.",
        takes=Chosen,
        gives=JobState,
        statuses=(404, 409, 503),
    ),
)
