"""The sentences of `draw.js`."""

from __future__ import annotations

from neurona import drawing
from neurona.i18n import _

__all__ = ["words"]


def words() -> dict[str, str]:
    """Return the sentences of the tab to draw in, and the board's, in the reader's language."""
    return {
        **drawing.words(),
        "heading": _("Draw a digit"),
        "lead": _("Watch a small neural network make up its mind, stroke by stroke."),
        "hint": _("Draw here"),
        "brush": _("Brush"),
        "open_picture": _("Open a picture"),
        "no_picture": _("This is no picture that the page can open; one of up to 20 MB in a common format will do."),
        "no_ink": _("Nothing stands out in this picture."),
        "keyboard": _("By keyboard"),
        "model": _("Model"),
        "compared_with": _("beside"),
        "none": _("none"),
        "other_size": _("This model is for images of another size than a drawing's 28×28."),
        "training_first": _("The first network is being trained on this computer…"),
        "training_epoch": _(
            "The first network is being trained on this computer: epoch {number} of {epochs}, {share} right so far."
        ),
        "nothing": _("Nothing is drawn yet."),
        "sure": _("{share} sure"),
        "next": _("then {name}, {share}"),
        "says": _("{name} · {share}"),
        "second": _("{model} says {name} ({share})"),
        "heard": _("It is a {name}, {share} sure. Then {next}, {next_share}."),
        "explain": _("Explain {name}"),
        "correct": _("Not right? Say what it is"),
        "it_is": _("It is a {name}"),
        "keep": _("Keep"),
        "draw_first": _("Draw something first."),
        "kept": _("Kept as {name}."),
        "examples": _("Or begin with one of these"),
        "more_examples": _("Others"),
        "example": _("Begin with a {name}"),
        "sees": _("What the network sees"),
        "sees_lead": _(
            "It has learned from digits of one size, their weight in the middle. Anywhere else on the board the same "
            "digit is something new to it; so your drawing is brought to that size and place first."
        ),
        "whole_board": _("The whole board"),
        "whole_board_said": _("Squeezed into 28×28 pixels, wherever the ink is."),
        "box_only": _("Only its box"),
        "box_only_said": _("Cut to the ink, and enlarged to fill all pixels."),
        "as_mnist": _("As in MNIST"),
        "as_mnist_said": _("20 pixels tall or wide, centred by weight. This is what it answers to."),
        "speaks": _("What speaks for the answer"),
        "speaks_for": _("What speaks for {name}"),
        "for": _("for it"),
        "against": _("against it"),
        "saliency_said": _("Each pixel's part in the score. Choose another class among the bars to ask about that."),
        "inside": _("Inside the network"),
        "inside_lead": _(
            "Each unit adds up what it is given and passes on what is left after its activation; the brighter, the "
            "more. The lines are the strongest ways from your ink to the answer: blue speaks for it, orange against."
        ),
        "pixels": _("{count} pixels"),
        "units": _("{count} units"),
        "classes": _("{count} classes"),
        "ways": _("The strongest ways into {name}."),
        "active": _("Layer {layer}: {count} of {of} units are active."),
        "residual": _("Dotted: what a layer is given and passes on beside its own work, by a residual connection."),
        "members": _("This is the first of {count} networks that answer together."),
        "vary": _("How much does it take to change its mind?"),
        "vary_lead": _(
            "Move, turn, enlarge or thicken what the network sees, without centring it again. Each curve is its "
            "confidence along that slider; below it stands who wins where."
        ),
        "vary_right": _("To the right"),
        "vary_down": _("Down"),
        "vary_rotation": _("Turned"),
        "vary_scale": _("Size"),
        "vary_thickness": _("Thickness"),
        "reset": _("Back to the drawing"),
        "curve": _(
            "Confidence in {name}: {from} at the left end, {most} at most, {to} at the right end. Answers: {others}."
        ),
        "near": _("The nearest training images"),
        "near_none": _("Draw something, and the training images that look most like it come here."),
        "near_asked": _("Looking for them…"),
        "near_said": _(
            "{count} of the {of} nearest are a {name}. The numbers are distances: Euclidean, pixel by pixel, each "
            "from 0 to 1."
        ),
        "album": _("Your drawings"),
        "album_lead": _(
            "What you have said of your drawings is kept here. See how the model does on them, and let it learn: it is "
            "trained further on them among training images, so that it forgets nothing else."
        ),
        "score": _("The model gets {right} of your {of} drawings right."),
        "right": _("right"),
        "taken_for": _("taken for {name}"),
        "remove": _("Remove this {name}"),
        "lasts": _("They are kept in the study."),
        "does_not_last": _(
            "No study is served, so they go when the server ends. Export them, or start `neurona serve --study DIR`."
        ),
        "tune": _("Let it learn from them"),
        "export_drawings": _("Export"),
        "import_drawings": _("Import"),
        "imported": _("{count} drawings were in the file."),
        "file_too_large": _("This file is larger than 16 MB."),
        "waiting": _("It is its turn in a moment…"),
        "tuning": _("Training further"),
        "tuning_epoch": _("Training further: {number} of {epochs}"),
        "stop": _("Stop"),
        "tuned": _("{name}: before and after"),
        "tuned_said": _("Before, {before} of your {of} drawings were right; now {after} are."),
        "before": _("before"),
        "after": _("after"),
        "change": _("change"),
        "your_drawings": _("Your drawings"),
        "validation_images": _("Validation images"),
        "of": _("{count} of {of} ({share})"),
    }
