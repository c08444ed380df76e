"""Loggers of a run that goes on."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from videxp.runs.folder import RunFolder
from videxp.training.assembling import build_loggers

CONF = Path(__file__).parents[2] / "conf/logger/tensorboard.yaml"


@pytest.mark.usefixtures("quiet_lightning")
def test_tensorboard_hides_the_events_that_will_be_logged_again(tmp_path: Path):
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    _, logger = build_loggers(OmegaConf.create({"logger": OmegaConf.load(CONF)}), RunFolder(tmp_path), after_step=4)
    logger.log_metrics({"train/loss": 1.0}, step=5)
    logger.finalize("success")
    (file,) = tmp_path.rglob("events.out.*")
    begun = [event.step for event in EventFileLoader(str(file)).Load() if event.HasField("session_log")]
    assert begun == [5]
