"""The data sets that are known by name: where they are, their hashes, sizes and licences.

SHA-256 and size of the fetched files are from TensorFlow Datasets' `url_checksums` (Fashion-MNIST, KMNIST, EMNIST's
archive) and, for the members of that archive, from the Git LFS pointers in github.com/aurelienduarte/emnist, which are
also the SHA-256 that others took of the members of NIST's own archive.
"""

from __future__ import annotations

import string
from dataclasses import dataclass

from neurona.i18n import marked

__all__ = ["ARRAYS", "CATALOGUE", "Archive", "NamedSet", "RemoteFile"]

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
"""The four arrays of a named set, in Keras' layout; its files stand in this order."""


@dataclass(frozen=True)
class RemoteFile:
    """A file to fetch: its name, size in bytes, hash (`sha256:…`) and addresses, the official one first."""

    name: str
    size: int
    hash: str
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Archive:
    """A zip that holds the files of several sets under `prefix`; all of `members` are taken out when it is fetched."""

    file: RemoteFile
    prefix: str
    members: tuple[RemoteFile, ...]


@dataclass(frozen=True)
class NamedSet:
    """A data set known by name.

    classes: class names in the order of the labels.
    sizes: images in train, validation and test; validation is the last part of the published train files.
    folder: its folder within the data folder.
    files: IDX files in the order of `ARRAYS`; empty for an embedded set.
    archive: the zip that officially holds the files; their own addresses then are mirrors.
    array_hashes: SHA-256 of the bytes of the embedded arrays, in the order of `ARRAYS`.
    transposed: whether the files hold each image with rows and columns exchanged.
    first_label: the label that the files give to the first class.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    sizes: tuple[int, int, int]
    licence: str
    homepage: str
    folder: str
    files: tuple[RemoteFile, ...] = ()
    archive: Archive | None = None
    array_hashes: tuple[str, ...] = ()
    transposed: bool = False
    first_label: int = 0
    image_shape: tuple[int, int] = (28, 28)

    @property
    def embedded(self) -> bool:
        """Whether the set comes with Neurona."""
        return not self.files


DIGITS = tuple(string.digits)


def _idx_files(bases: tuple[str, ...], sizes_and_hashes: tuple[tuple[int, str], ...]) -> tuple[RemoteFile, ...]:
    names = (
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
    )
    return tuple(
        RemoteFile(name, size, f"sha256:{digest}", tuple(base + name for base in bases))
        for name, (size, digest) in zip(names, sizes_and_hashes, strict=True)
    )


MNIST = NamedSet(
    name="mnist",
    title=marked("MNIST: handwritten digits (LeCun, Cortes and Burges 1998)"),
    classes=DIGITS,
    sizes=(50_000, 10_000, 10_000),
    licence="CC BY-SA 3.0",
    homepage="http://yann.lecun.com/exdb/mnist/",
    folder="mnist",
    array_hashes=(
        "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
        "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
        "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
        "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
    ),
)

FASHION_MNIST = NamedSet(
    name="fashion-mnist",
    title=marked("Fashion-MNIST: articles of clothing (Xiao, Rasul and Vollgraf 2017)"),
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    sizes=(50_000, 10_000, 10_000),
    licence="MIT",
    homepage="https://github.com/zalandoresearch/fashion-mnist",
    folder="fashion-mnist",
    files=_idx_files(
        (
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",  # the copy that Keras reads
        ),
        (
            (26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
            (29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
            (4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
            (5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
        ),
    ),
)

KMNIST = NamedSet(
    name="kmnist",
    title=marked("Kuzushiji-MNIST: cursive Japanese (Clanuwat and others 2018)"),
    classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    sizes=(50_000, 10_000, 10_000),
    licence="CC BY-SA 4.0",
    homepage="https://github.com/rois-codh/kmnist",
    folder="kmnist",
    files=_idx_files(
        (
            "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
            "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/KMNIST/",  # made for tensorflow/swift-models
            # 450 "https://web.archive.org/web/2024id_/http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        ),
        (
            (18_165_135, "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"),
            (29_497, "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"),
            (3_041_136, "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"),
            (5_120, "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"),
        ),
    ),
)

EMNIST_MIRROR = "https://media.githubusercontent.com/media/aurelienduarte/emnist/master/gzip/"


def _emnist_file(name: str, size: int, digest: str) -> RemoteFile:
    return RemoteFile(name, size, f"sha256:{digest}", (EMNIST_MIRROR + name,))


EMNIST_LETTERS_FILES = (
    _emnist_file(
        "emnist-letters-train-images-idx3-ubyte.gz",
        30_804_864,
        "6288f418a917e007bf5fddb823a2dc7a5c6a35031401b93292a539cb12bd881f",
    ),
    _emnist_file(
        "emnist-letters-train-labels-idx1-ubyte.gz",
        79_283,
        "9759af91ea6bccdf07a6040fd085861f2ec88e37f7c3f5760f6feb57106fbe5c",
    ),
    _emnist_file(
        "emnist-letters-test-images-idx3-ubyte.gz",
        5_039_157,
        "50f0e93d75b99b463e9760b8345866f22587fa2c2fba472730a5ba09c693412d",
    ),
    _emnist_file(
        "emnist-letters-test-labels-idx1-ubyte.gz",
        144,
        "924955c31fe7fd809b7303b5c0141282955f4b8390c74cdfd5d80435e0f4b4cb",
    ),
)

EMNIST_BALANCED_FILES = (
    _emnist_file(
        "emnist-balanced-train-images-idx3-ubyte.gz",
        28_207_740,
        "74295e75e4e9fa2c102147460ee7eb763653d5132d883a84fb88932bfb8d2db4",
    ),
    _emnist_file(
        "emnist-balanced-train-labels-idx1-ubyte.gz",
        80_618,
        "b46d41e5156a0a8aaaa4d18979fdd1588850fa8571018acffd5d93b325a7d6ed",
    ),
    _emnist_file(
        "emnist-balanced-test-images-idx3-ubyte.gz",
        4_714_707,
        "117fc12b015e37ea98bfb2cbba3f77c3782c056cdbd219b87abfc8661d7135db",
    ),
    _emnist_file(
        "emnist-balanced-test-labels-idx1-ubyte.gz",
        13_504,
        "a67cac948379b67270b9a4d0a01c8ec661598accf2f2b1964340b7c83cb175cd",
    ),
)

EMNIST_DIGITS_FILES = (
    _emnist_file(
        "emnist-digits-train-images-idx3-ubyte.gz",
        59_515_779,
        "f7c95004d14d81af89522e67d8f0c781dfb3bd544181c81bfe1eb6b41c35b726",
    ),
    _emnist_file(
        "emnist-digits-train-labels-idx1-ubyte.gz",
        113_859,
        "6638a6ff5fe2eefd9cca2471995b46c82986b8e4b2a70d2f5ce8e05d7edb319e",
    ),
    _emnist_file(
        "emnist-digits-test-images-idx3-ubyte.gz",
        9_908_519,
        "20ebe43509264f7639d37c835a3f0b009e90b29e00a099a03101abe1644a3f63",
    ),
    _emnist_file(
        "emnist-digits-test-labels-idx1-ubyte.gz",
        19_960,
        "bad1834c45d5988e270b99d43b13edc3fd898f658ffbc2caf2846ef27f7b05b0",
    ),
)

EMNIST_ARCHIVE = Archive(
    file=RemoteFile(
        "gzip.zip",
        561_753_746,
        "sha256:fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e",
        (
            "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",
            "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/gzip.zip",
        ),
    ),
    prefix="gzip/",
    members=(*EMNIST_LETTERS_FILES, *EMNIST_BALANCED_FILES, *EMNIST_DIGITS_FILES),
)


def _emnist(
    part: str, title: str, classes: tuple[str, ...], files: tuple[RemoteFile, ...], *, test: int, first_label: int = 0
) -> NamedSet:
    # the published train part has six times the images of the test part; the last sixth is validation
    return NamedSet(
        name=f"emnist-{part}",
        title=title,
        classes=classes,
        sizes=(5 * test, test, test),
        licence=marked("none stated; NIST asks to cite the paper"),
        homepage="https://www.nist.gov/itl/products-and-services/emnist-dataset",
        folder="emnist",
        files=files,
        archive=EMNIST_ARCHIVE,
        transposed=True,
        first_label=first_label,
    )


CATALOGUE: dict[str, NamedSet] = {
    entry.name: entry
    for entry in (
        MNIST,
        FASHION_MNIST,
        KMNIST,
        _emnist(
            "letters",
            marked("EMNIST: 26 letters, capital and small as one (Cohen, Afshar, Tapson and van Schaik 2017)"),
            tuple(string.ascii_uppercase),
            EMNIST_LETTERS_FILES,
            test=20_800,
            first_label=1,
        ),
        _emnist(
            "balanced",
            marked(
                "EMNIST: digits, capitals, and small letters that differ (Cohen, Afshar, Tapson and van Schaik 2017)"
            ),
            (*DIGITS, *string.ascii_uppercase, *"abdefghnqrt"),
            EMNIST_BALANCED_FILES,
            test=18_800,
        ),
        _emnist(
            "digits",
            marked("EMNIST: digits (Cohen, Afshar, Tapson and van Schaik 2017)"),
            DIGITS,
            EMNIST_DIGITS_FILES,
            test=40_000,
        ),
    )
}
