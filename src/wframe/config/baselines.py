"""Baselines: the models that FRAME and wFRAME are compared with, and how an edition's entry becomes one's settings."""

import importlib
from typing import Annotated, Any, Union

from pydantic import Field, GetCoreSchemaHandler, create_model
from pydantic_core import CoreSchema, core_schema

from wframe.config.base import Model, Name, OneOf
from wframe.config.devices import DeviceName
from wframe.config.training import Training
from wframe.runtime.code import module_names

MODELS = module_names("wframe.config.trainings")
SETTINGS: dict[str, type[Training]] = {
    name: importlib.import_module(f"wframe.config.trainings.{name}").Settings for name in MODELS
}


class Baseline(Training):
    """A model of another kind, trained on the same images, that FRAME and wFRAME are compared with."""

    title: str | None = Field(None, description="its name in tables and on the page")
    dataset: Name = Field(description="the dataset to train on, an entry of `datasets`")
    class_: Name | None = Field(None, alias="class", description="the class to train on; null: the whole dataset")
    device: DeviceName | None = Field(None, description="where it is trained; null: the edition's device")
    repeats: int = Field(1, ge=1, description="training runs with different initial weights, batches and z")

    @property
    def settings(self) -> dict[str, Any]:
        """What the training is told: all but where the entry stands in the edition."""
        return self.model_dump(mode="json", include=set(SETTINGS[self.model].model_fields))


def _entry(name: str, settings: type[Any]) -> type[Baseline]:
    return create_model(f"Baseline_{name}", __base__=(settings, Baseline), __doc__=Baseline.__doc__)


ENTRIES = {name: _entry(name, settings) for name, settings in SETTINGS.items()}


class _Choice(Model, extra="ignore"):
    model: Annotated[str, OneOf(MODELS)]


def training(values: dict[str, Any]) -> Training:
    """Return the settings of the model that `values` names, checked."""
    return SETTINGS[_Choice.model_validate(values).model].model_validate(values)


class OfItsModel:
    """An annotation: an entry is checked by the settings of its model, and by no other's."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return a schema that chooses the model first; as JSON, any of them."""
        entries = handler.generate_schema(Union[tuple(ENTRIES.values())])  # noqa: UP007

        def check(values: Any, _: Any) -> Any:
            if isinstance(values, Baseline):
                return values
            return ENTRIES[_Choice.model_validate(values).model].model_validate(values)

        return core_schema.no_info_wrap_validator_function(check, entries)
