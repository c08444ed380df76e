"""What a worker does: the run's own predictor, on one uploaded file or on several together."""

import argparse
import io
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from videxp.core.errors import BadRequest, VidexpError
from videxp.core.files import read_json, write_text
from videxp.core.lines import warn
from videxp.core.printable import as_json
from videxp.deploy.serving.inspecting import inspect
from videxp.deploy.serving.refusal import Refused, RequestLimits, without_paths

VIDEO = "video"
"""Name of the uploaded file in its folder."""

Outcome = tuple[int, str]
"""Status of HTTP, and the reason where there is no answer."""
DONE: Outcome = (200, "")


@dataclass(frozen=True)
class Served:
    """A trained task, its data module and its predictor; the task is there in workers alone."""

    title: str
    load: Callable[[str, int], Any]
    """The task on a device, computing with so many threads. Called once, in each worker."""
    device: str
    datamodule: Any
    predictor: ModuleType
    read_options: Callable[[list[str]], argparse.Namespace]
    """Of the words that follow RUN in `videxp predict`."""
    words: tuple[str, ...]
    """Options of the predictor that all requests have in common."""
    limits: RequestLimits

    @property
    def answer_name(self) -> str:
        """`answer.json`"""
        name: str = self.predictor.ANSWER
        return name

    @property
    def answers_together(self) -> bool:
        return hasattr(self.predictor, "answer_together")

    def options(self, video: Path) -> argparse.Namespace:
        options = self.read_options([str(video), *self.words, "-o", str(video.with_name(self.answer_name))])
        if hasattr(options, "device"):
            options.device = self.device
        return options

    def answer(self, task: Any, folders: Sequence[Path]) -> list[Outcome]:
        """Puts an answer beside the video in each folder, or says why not."""
        outcomes = {folder: self._attempt(folder, lambda video: inspect(video, self.limits)) for folder in folders}
        good = [folder for folder, outcome in outcomes.items() if outcome == DONE]
        if good and self.answers_together:
            outcomes |= dict(zip(good, self._answer_together(task, good)))
        else:
            outcomes |= {folder: self._attempt(folder, partial(self._predict, task)) for folder in good}
        return list(outcomes.values())

    def _answer_together(self, task: Any, folders: list[Path]) -> list[Outcome]:
        videos = [folder / VIDEO for folder in folders]
        try:
            answers = self.predictor.answer_together(task, self.datamodule, videos, self.options(videos[0]))
        except Exception as error:
            if len(folders) > 1:
                return [outcome for folder in folders for outcome in self._answer_together(task, [folder])]
            answers = [error]
        return [self._attempt(folder, partial(self._write, one)) for folder, one in zip(folders, answers)]

    def _write(self, answer: dict[str, Any] | Exception, video: Path) -> None:
        if isinstance(answer, Exception):
            raise answer
        write_text(video.with_name(self.answer_name), as_json(answer, indent=2) + "\n")

    def _predict(self, task: Any, video: Path) -> None:
        options = self.options(video)
        if hasattr(self.predictor, "check"):
            self.predictor.check(options)
        said = io.StringIO()
        with redirect_stdout(said), redirect_stderr(said):
            status = self.predictor.predict(task, self.datamodule, options)
        if status:
            raise VidexpError("the video cannot be answered")

    def _attempt(self, folder: Path, work: Callable[[Path], object]) -> Outcome:
        try:
            work(folder / VIDEO)
        except Refused as refused:
            return refused.status, refused.message
        except VidexpError as error:
            return 422, without_paths(str(error), folder=str(folder))
        except MemoryError:
            return 413, "the video takes more memory than there is"
        except Exception as error:  # a size that the network cannot take; the operator is told more than the client
            warn(f"a request failed: {type(error).__name__}: {' '.join(str(error).split())[:300]}")
            return 422, "the model cannot answer this video"
        return DONE


def require_servable(
    predictor: ModuleType, words: tuple[str, ...], *, run: str, read_options: Callable[[list[str]], argparse.Namespace]
) -> None:
    """Raises BadRequest where the predictor, or one of its options, is none for a service."""
    if not hasattr(predictor, "ANSWER"):
        raise BadRequest(f"{run}: {predictor.__name__} has no ANSWER, one file for one video: use videxp predict {run}")
    read_options([VIDEO, *words, "-o", predictor.ANSWER])


def read_answer(path: Path, *, name: str) -> bytes:
    """An answer in JSON, in which the video is called as its sender calls it."""
    answer = read_json(path)
    if isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    if isinstance(answer, dict) and "path" in answer:
        answer["path"] = name
    return (as_json(answer, indent=2) + "\n").encode()
