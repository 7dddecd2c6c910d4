"""Datasets and the filter bank: where the images and weights of an edition come from."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from wframe.config.base import Model, Name, OneOf
from wframe.config.learning import LearningChange
from wframe.runtime.code import module_names

READERS = module_names("wframe.data.readers")
PaperDataset = Literal["celeba", "lsun-bedroom", "cifar10", "cifar10-unlabelled", "sun"]
# the reader of each of the paper's datasets
PAPER_READERS = {
    "celeba": "celeba",
    "lsun-bedroom": "lsun",
    "cifar10": "cifar10",
    "cifar10-unlabelled": "cifar10",
    "sun": "sun",
}
# the entry of config/inputs.yaml that has each of them
PAPER_INPUTS = {
    "celeba": "celeba",
    "lsun-bedroom": "lsun-bedroom",
    "cifar10": "cifar10",
    "cifar10-unlabelled": "cifar10",
    "sun": "sun397",
}
# size, λ and δ that the paper gives for each (section "Empirical Setup"); for its SUN subset it gives none
PAPER_CONSTANTS = {
    "celeba": {"size": 64, "lambda_": 1e-3, "delta": 0.2},
    "lsun-bedroom": {"size": 64, "lambda_": 1e-3, "delta": 0.15},
    "cifar10": {"size": 32, "lambda_": 2e-3, "delta": 0.15},
    "cifar10-unlabelled": {"size": 32, "lambda_": 2e-3, "delta": 0.15},
}
# what the paper runs FRAME with ("default settings in (Lu, Zhu, and Wu 2015)"), as that release has them
LU_ZHU_WU = {"reading": "lineage", "sigma": 1.0, "delta": 0.3, "lambda_": 2e-4, "L": 30}


class Bank(Model):
    """The filter bank F."""

    source: Literal["builtin", "vgg16"] = Field(
        "builtin", description="which filters: those that come with the package, or VGG-16's"
    )
    weights: str | None = Field(
        None, description="vgg16: the weights file (.safetensors, .pth or .npz); relative to the data folder"
    )
    inputs: list[str] = Field([], description="entries of config/inputs.yaml to fetch first")

    @model_validator(mode="after")
    def _weights_only_for_vgg16(self) -> "Bank":
        if self.source == "vgg16" and self.weights is None:
            raise ValueError("vgg16 needs a weights file: set bank.weights")
        if self.source == "builtin" and self.weights is not None:
            raise ValueError("the builtin bank comes with the package: remove bank.weights")
        if self.source == "builtin" and self.inputs:
            raise ValueError("the builtin bank comes with the package: remove bank.inputs")
        return self


class Dataset(Model):
    """One dataset: images of one size in one or more classes."""

    source: Annotated[str, OneOf(READERS)] = Field(
        description="which reader; `folder`: your own images, one folder per class; `registry`: an entry of "
        "config/inputs.yaml, read as the fetched copy requires; `huggingface`: parquet files"
    )
    path: str | None = Field(
        None,
        description="where the raw files are, relative to the data folder; registry: the entry; embedded: which "
        "images; registry, huggingface, cifar10: ENTRY!SPLIT takes one split",
    )
    inputs: list[str] = Field(
        [], description="entries of config/inputs.yaml to fetch first; registry: the entry itself is one"
    )
    optional: bool = Field(
        False, description="whether a run goes on without this dataset if its inputs are unavailable"
    )
    image_column: str | None = Field(None, description="huggingface: the column of images; null: found by the schema")
    label_column: str | None = Field(None, description="huggingface: the column of labels; null: found by the schema")
    title: str | None = Field(None, description="the dataset's name on the page")
    size: int = Field(32, ge=8, le=512, description="side of the prepared images, in pixels")
    crop: int | None = Field(
        None, ge=8, description="side of the centre crop, taken before resizing; null: the largest square"
    )
    classes: list[Name] = Field(["all"], min_length=1, description="`all` takes every image, labelled or not")
    names: dict[Name, str] = Field(
        {},
        description="a class's folder or label in the data, if that can't be used in file names: "
        "`classes: [big-cats], names: {big-cats: Big cats (2)}`; also its title on the page",
    )
    images: int | None = Field(None, ge=1, description="images of each class to use; null: all there are")
    start: int = Field(
        0, ge=0, description="how many images of each class to leave out first, e.g. those that another dataset uses"
    )
    pick: Literal["first", "spread"] = Field(
        "first", description="which `images` to use: the first, or evenly spread ones"
    )
    skip_limit: float = Field(
        0.01, ge=0, le=1, description="preparation stops if more than this share of images is unreadable"
    )
    stands_for: list[PaperDataset] = Field(
        [], description="the paper's datasets that it is, or substitutes for: claims about those are judged on it"
    )
    learning: LearningChange = Field(LearningChange(), description="constants to change for this dataset")

    @model_validator(mode="after")
    def _has_a_path(self) -> "Dataset":
        if self.path is None and not self.inputs:
            which = "faces, scenes or digits" if self.source == "embedded" else "where the raw files are"
            raise ValueError(f"path: {self.source} needs one ({which})")
        return self

    @model_validator(mode="before")
    @classmethod
    def _registry_names_its_input(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("source") == "registry" and not values.get("inputs"):
            return values | {"inputs": [str(values.get("path") or "").partition("!")[0]]}
        return values

    @model_validator(mode="after")
    def _source_is_complete(self) -> "Dataset":
        if self.source == "registry" and not self.path:
            raise ValueError("source registry needs a path: an entry of config/inputs.yaml")
        if self.source != "huggingface" and (self.image_column or self.label_column):
            raise ValueError(f"image_column and label_column are for source huggingface, not {self.source}")
        return self

    @model_validator(mode="after")
    def _names_are_of_classes(self) -> "Dataset":
        if unknown := sorted(set(self.names) - set(self.classes)):
            raise ValueError(f"names: no such class: {', '.join(unknown)} (there are: {', '.join(self.classes)})")
        called = [self.named(class_) for class_ in self.classes]
        if twice := sorted({name for name in called if called.count(name) > 1}):
            raise ValueError(f"names: two classes of the same images: {', '.join(twice)}")
        return self

    def named(self, class_: str) -> str:
        """Return what a class is called in the data: its folder or label."""
        return self.names.get(class_, class_)

    def is_papers(self, name: PaperDataset) -> bool:
        """Whether its images are those of one of the paper's datasets: by its reader, or its entry of the registry."""
        if self.source == "registry":
            return self.inputs == [PAPER_INPUTS[name]]
        return self.source == PAPER_READERS[name]

    @field_validator("size")
    @classmethod
    def _size_fits_bank(cls, size: int) -> int:
        if size % 4:
            below, above = size - size % 4, size - size % 4 + 4
            raise ValueError(
                f"must be a multiple of 4 (the bank pools, and its response map must have an even side): "
                f"try {below} or {above}"
            )
        return size

    @field_validator("classes")
    @classmethod
    def _classes_differ(cls, classes: list[str]) -> list[str]:
        if duplicates := sorted({name for name in classes if classes.count(name) > 1}):
            raise ValueError(f"duplicate class: {', '.join(duplicates)}")
        return classes
