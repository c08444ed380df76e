"""How Hydra finds the recipes: a folder of recipes is mounted as the group `experiments`. And how Hydra is left.

Mounting shows Hydra the folder's recipes and nothing beside it. A repository's root on the search path would instead
offer every folder in it as a config group.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf
from yaml import YAMLError

from videxp.config.places import folders
from videxp.core.errors import BadRequest
from videxp.core.yaml_files import Growth, read_yaml_text

GROUP = "experiments"

# The folder of a recipe that was given as a path to a file; it comes first. Set by `mounted`.
_extra_folder: Path | None = None
_own_files = True


class RecipeSource(ConfigSource):
    """`recipes:///some/folder` serves `/some/folder/a/b.yaml` as the config `experiments/a/b`."""

    @staticmethod
    def scheme() -> str:
        return "recipes"

    def _inside(self, config_path: str) -> Path | None:
        head, _, tail = config_path.strip("/").partition("/")
        return Path(self.path) / tail if head == GROUP else None

    def load_config(self, config_path: str) -> ConfigResult:
        path = self._inside(self._normalize_file_name(config_path))
        if path is None or not path.is_file():
            raise ConfigLoadError(f"Config not found: {config_path}")
        text = read_yaml_text(path)
        return ConfigResult(
            provider=self.provider,
            path=self.full_path(),
            config=OmegaConf.create(text or "{}"),
            header=self._get_header_dict(text),
        )

    def available(self) -> bool:
        return Path(self.path).is_dir()

    def is_group(self, config_path: str) -> bool:
        if config_path.strip("/") == "":
            return True
        path = self._inside(config_path)
        return path is not None and path.is_dir()

    def is_config(self, config_path: str) -> bool:
        path = self._inside(self._normalize_file_name(config_path)) if config_path else None
        return path is not None and path.is_file()

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        if config_path.strip("/") == "":
            return [] if results_filter == ObjectType.CONFIG else [GROUP]
        files: list[str] = []
        path = self._inside(config_path)
        for child in sorted(path.iterdir()) if path and path.is_dir() else []:
            inner = f"{config_path}/{child.name}"
            if child.is_dir() or child.suffix == ".yaml":
                self._list_add_result(files, inner, child.name, results_filter)
        return sorted(set(files))


class VidexpSearchPath(SearchPathPlugin):
    """The current folder's conf/ before videxp's own, and every folder of recipes."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for folder in folders("conf")[:-1] if _own_files else []:
            search_path.prepend("current-folder", f"file://{folder}")
        for folder in ([_extra_folder] if _extra_folder else []) + folders("experiments"):
            search_path.append("recipes", f"recipes://{folder}")


@contextmanager
def without_own_files() -> Iterator[None]:
    """Meanwhile the current folder's conf/ is not found."""
    global _own_files
    _own_files = False
    try:
        yield
    finally:
        _own_files = True


def recipe_file(name: str) -> Path | None:
    """The file of a recipe that is mounted."""
    places = ([_extra_folder] if _extra_folder else []) + folders("experiments")
    return next((path for folder in places if (path := folder / f"{name}.yaml").is_file()), None)


def mount(folder: Path | None) -> None:
    """Make Hydra see all recipes from now on, those of `folder` first."""
    global _extra_folder
    _extra_folder = folder
    for path in [path for place in folders("conf")[:-1] for path in sorted(place.rglob("*.yaml"))]:
        try:
            read_yaml_text(path)
        except Growth as error:
            raise BadRequest(f"{path}: {error}") from error
        except (YAMLError, OSError, UnicodeDecodeError):
            continue  # said, with the line, where the recipe asks for it
    for plugin in (RecipeSource, VidexpSearchPath):
        Plugins.instance().register(plugin)


def forget_hydra() -> None:
    """Clear Hydra's state of this process: Lightning's DDP launcher changes the children's command line where it is."""
    HydraConfig.instance().cfg = None
    GlobalHydra.instance().clear()
