"""A config file as it stands, which may come from anyone: in bounded time and memory, and nothing is built."""

from pathlib import Path

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from videxp.config.composing.growth import growth_problems
from videxp.config.problems import refuse
from videxp.core.errors import BadRequest
from videxp.core.yaml_files import read_yaml_text, refuse_growth


def read_config(path: Path | str) -> DictConfig:
    """Raises BadRequest if the file is missing, is no YAML mapping, or has interpolations that grow without end."""
    try:
        cfg = OmegaConf.create(read_yaml_text(path) or "{}")
    except FileNotFoundError as error:
        raise BadRequest(f"{path}: no such file; a run folder holds config.yaml") from error
    except (YAMLError, OmegaConfBaseException, OSError, ValueError) as error:
        raise BadRequest(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from error
    return _checked(cfg, path)


def parse_config(text: str, *, path: Path | str) -> DictConfig:
    """The same of a text that a file holds."""
    try:
        refuse_growth(text)
        cfg = OmegaConf.create(text or "{}")
    except (YAMLError, OmegaConfBaseException, ValueError) as error:
        raise BadRequest(f"{path}: its config cannot be read as YAML: {' '.join(str(error).split())}") from error
    return _checked(cfg, path)


def _checked(cfg: DictConfig | ListConfig, path: Path | str) -> DictConfig:
    if not isinstance(cfg, DictConfig):
        raise BadRequest(f"{path}: holds a list, not a config")
    OmegaConf.set_struct(cfg, True)
    refuse(growth_problems(cfg))
    return cfg
