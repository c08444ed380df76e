"""Words of other frameworks are answered with our keys, and what is answered is accepted when it is typed."""

import re

import pytest

from videxp.config import check, compose, compose_dataset, flat
from videxp.config.words import ANSWERS, KEYS
from videxp.errors import BadRequest

RECIPE = "classification/moving_digits"


def refusal(*overrides: str) -> str:
    with pytest.raises(BadRequest) as caught:
        compose(RECIPE, list(overrides))
    return str(caught.value)


def test_every_key_that_is_named_is_there():
    known = set(flat(compose(RECIPE, []).cfg)) | {"hydra.run.dir", "run.group"}
    for layout in ("manifest", "video_lists", "ucf101"):
        known |= set(flat(compose(RECIPE, [f"dataset={layout}"]).cfg))
    assert {key for keys in KEYS.values() for key in keys} <= known
    assert len(KEYS) > 200 and len(ANSWERS) > 50


@pytest.mark.parametrize(
    ("typed", "value", "meant"),
    [
        ("epochs", "3", "trainer.max_epochs"),
        ("train.epochs", "3", "trainer.max_epochs"),
        ("trainer.epochs", "3", "trainer.max_epochs"),
        ("gpus", "1", "hardware.devices"),
        ("trainer.gpus", "1", "hardware.devices"),
        ("workers", "1", "hardware.num_workers"),
        ("learning_rate", "0.1", "optimizer.lr"),
        ("bs", "4", "dataset.batch_size"),
        ("frames", "4", "dataset.num_frames"),
        ("output_dir", "x", "hydra.run.dir"),
        ("random_seed", "1", "seed"),
    ],
)
def test_a_word_of_another_framework_is_answered_with_the_key(typed: str, value: str, meant: str):
    message = refusal(f"{typed}={value}")
    assert message.startswith(f"{typed}={value}: unknown key")
    assert re.findall(r"did you mean (\S+)\?$", message) == [meant]
    assert check(compose(RECIPE, [f"{meant}={value}"])) == []


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("model_name=x3d_s", "write model=NAME (videxp list models)"),
        ("model.name=x3d_s", "write model=NAME (videxp list models)"),
        ("num_classes=10", "write nothing: the data say how many classes there are"),
        ("resume=true", "write `videxp resume RUN`, or run.resume=auto with hydra.run.dir=RUN"),
        ("ema=true", "write callbacks=[checkpoint,nonfinite,ema]"),
        ("patience=3", "write callbacks=[checkpoint,nonfinite,early_stopping]"),
        ("wandb=false", "write logger=NAME (videxp list loggers)"),
    ],
)
def test_what_is_no_key_of_ours_is_answered_with_what_is_done_instead(typed: str, answer: str):
    assert refusal(typed).endswith(f"; {answer}")
    choices = re.findall(r"callbacks=\S+", answer)
    assert not choices or check(compose(RECIPE, choices)) == []


@pytest.mark.parametrize(
    ("dataset", "typed", "meant"),
    [
        ("manifest", "dataset.layout.class", "dataset.layout.label_column"),
        ("video_lists", "dataset.layout.class", "dataset.layout.class_file"),
        ("ucf101", "dataset.layout.split", "dataset.layout.fold"),
        ("manifest", "data_dir", "dataset.root"),
    ],
)
def test_keys_of_a_data_set_are_answered_by_what_it_has(dataset: str, typed: str, meant: str):
    with pytest.raises(BadRequest, match=f"{typed}=x: no such key; did you mean {meant}?"):
        compose_dataset(dataset, [f"{typed}=x"])
