"""Words of other frameworks are answered with our keys, and what is answered is accepted when it is typed."""

from dataclasses import fields

import pytest

from tests.films import PARTS
from videxp.config import check, compose, compose_dataset, flat
from videxp.config.composing.words import ANSWERS, KEYS, answer
from videxp.core.errors import BadRequest

RECIPE = "classification/moving_digits"


def refusal(*overrides: str) -> str:
    with pytest.raises(BadRequest) as caught:
        compose(RECIPE, list(overrides))
    return str(caught.value)


@pytest.mark.slow
def test_every_key_that_is_named_is_there():
    known = set(flat(compose(RECIPE, []).cfg)) | {"hydra.run.dir", "run.group"}
    for layout in ("manifest", "video_lists", "ucf101"):
        known |= set(flat(compose(RECIPE, [f"dataset={layout}"]).cfg))
    assert {key for keys in KEYS.values() for key in keys} <= known
    assert len(KEYS) > 200 and len(ANSWERS) > 50


WORDS = {
    "epochs=3": "trainer.max_epochs",
    "train.epochs=3": "trainer.max_epochs",
    "trainer.epochs=3": "trainer.max_epochs",
    "gpus=1": "hardware.devices",
    "trainer.gpus=1": "hardware.devices",
    "workers=1": "hardware.num_workers",
    "learning_rate=0.1": "optimizer.lr",
    "bs=4": "dataset.batch_size",
    "frames=4": "dataset.num_frames",
    "output_dir=x": "hydra.run.dir",
    "random_seed=1": "seed",
}
OTHERS = {
    "model_name=x3d_s": "write model=NAME (videxp list models)",
    "model.name=x3d_s": "write model=NAME (videxp list models)",
    "num_classes=10": "write nothing: the data say how many classes there are",
    "resume=true": "write `videxp resume RUN`, or run.resume=auto with hydra.run.dir=RUN",
    "ema=true": "write callbacks=[checkpoint,nonfinite,ema]",
    "patience=3": "write callbacks=[checkpoint,nonfinite,early_stopping]",
    "wandb=false": "write logger=NAME (videxp list loggers)",
}


@pytest.mark.slow
def test_words_of_other_frameworks_are_answered_with_what_is_accepted():
    known = flat(compose(RECIPE, []).cfg)
    for typed, said in {**{typed: f"did you mean {key}?" for typed, key in WORDS.items()}, **OTHERS}.items():
        assert answer(typed.partition("=")[0], known) == said
    remedies = {key: typed.partition("=")[2] for typed, key in WORDS.items()}
    callbacks = "callbacks=[checkpoint,nonfinite,ema,early_stopping]"
    assert check(compose(RECIPE, [callbacks, *(f"{key}={value}" for key, value in remedies.items())])) == []


@pytest.mark.slow
def test_the_answer_is_a_part_of_the_refusal():
    assert refusal("train.epochs=3") == "train.epochs=3: unknown key; did you mean trainer.max_epochs?"
    said = refusal("trainer.gpus=1", "ema=true").splitlines()
    assert said == [
        "ema=true: unknown key; write callbacks=[checkpoint,nonfinite,ema]",
        "trainer.gpus=1: unknown key of pytorch_lightning.Trainer; did you mean hardware.devices?",
    ]


@pytest.mark.slow
def test_a_key_that_stands_deeper_in_the_same_part_is_named():
    known = flat(compose(RECIPE, []).cfg)
    for name, part in PARTS.items():
        for field in fields(part):
            assert answer(f"dataset.{field.name}", known) == f"did you mean dataset.{name}.{field.name}?"
    said = "dataset.num_workers=2: unknown key of videxp.data.module.VideoDataModule; did you mean "
    assert refusal("dataset.num_workers=2") == f"{said}dataset.loading.num_workers?"
    assert flat(compose(RECIPE, ["dataset.loading.num_workers=2"]).cfg)["dataset.loading.num_workers"] == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dataset", "typed", "meant"),
    [
        ("manifest", "dataset.layout.class", "dataset.layout.label_column"),
        ("video_lists", "dataset.layout.class", "dataset.layout.class_file"),
        ("ucf101", "dataset.layout.split", "dataset.layout.fold"),
        ("manifest", "data_dir", "dataset.root"),
        ("ucf101", "dataset.allow_copies", "dataset.preparing.allow_copies"),
    ],
)
def test_keys_of_a_data_set_are_answered_by_what_it_has(dataset: str, typed: str, meant: str):
    with pytest.raises(BadRequest, match=f"{typed}=x: no such key; did you mean {meant}?"):
        compose_dataset(dataset, [f"{typed}=x"])
