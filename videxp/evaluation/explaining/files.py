"""Explanations of video files, written: what `videxp explain` does with each of its inputs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from videxp.core.errors import BadRequest, VidexpError
from videxp.core.files import escape_name, write_text
from videxp.core.printable import as_json
from videxp.data.loading.file_clips import NetworkClips
from videxp.data.module import VideoDataModule
from videxp.evaluation.explaining.causes import cause_of_file
from videxp.evaluation.explaining.explanation import Explanation, explain
from videxp.evaluation.explaining.outputs import ENDING, PAGE, renewing_explanations
from videxp.evaluation.explaining.page import PageEntry, page
from videxp.evaluation.explaining.pictures import is_doubtful, save_overlay, save_time_bars, shown, summary
from videxp.tasks import VideoTask
from videxp.tasks.questions import Question

ReadFile = Callable[[Path], NetworkClips]


@dataclass
class FileExplainer:
    """A task that explains its answers to files, one after the other."""

    task: VideoTask
    datamodule: VideoDataModule
    read: ReadFile
    """Raises VidexpError for a file that cannot be read."""
    method: str
    note: str
    """Why it is not the task's own method; "" where it is, or was asked for."""
    asked: Mapping[str, str]
    seed: int
    about: dict[str, Any]
    """What is said in each JSON: the run and its weights."""
    entries: list[PageEntry] = field(default_factory=list)

    def explain_file(self, path: Path, name: str, folder: Path) -> list[str]:
        """Write NAME's files into `folder`; returns lines for a terminal. Raises VidexpError."""
        read = self.read(path)
        questions = self.task.questions(read.batch, asked=self.asked)
        lines = []
        for number, question in enumerate(questions):
            own = name if len(questions) == 1 else f"{name}-{number + 1}"
            lines += self._explain(question, read, path, folder / f"{own}{ENDING}")
        return lines

    def _explain(self, question: Question, read: NetworkClips, path: Path, stem: Path) -> list[str]:
        frames = read.frames_VT[question.view][question.span].tolist()
        seconds = [round(float(value), 4) for value in read.seconds_VT[question.view][question.span]]
        explanation = explain(
            question,
            self.task.deployed,
            self.task.contract,
            method=self.method,
            seed=self.seed,
            cause_THW=cause_of_file(self.datamodule, path, frames, question),
        )
        facts = {
            "path": escape_name(str(path)),
            **self.about,
            **explanation.facts,
            "clip": {
                "frames": frames,
                "seconds": seconds,
                "view": question.view + 1,
                "views": len(read.frames_VT),
            },
        }
        peak = facts["map"]["peak"]
        peak |= {"number": frames[peak["frame"]], "seconds": seconds[peak["frame"]]}
        if question.frame is not None:
            facts["frame"] = {"number": frames[question.frame], "seconds": seconds[question.frame]}
        title = _title(explanation, facts)
        seen = shown(explanation, self.datamodule.test_transform, title=title)
        files = [stem.with_name(stem.name + ending) for ending in (".mp4", ".png", ".json")]
        save_overlay(seen, files[0], fps=read.fps)
        save_time_bars(seen, files[1], frames=frames)
        write_text(files[2], as_json(facts, indent=2) + "\n")
        told = [*summary(explanation.facts), _looked_at(facts)]
        self.entries.append(_entry(path, title, told, explanation, files))
        return [f"{path}: {title}", *(f"  {line}" for line in told)]

    def page(self) -> str:
        """Of all files that were explained."""
        about = [f"run {self.about['run']}, weights {self.about['weights'][:12]}"]
        about += [f"{self.note}: maps are made by {self.method}"] * bool(self.note)
        return page("What the answers rest on", about, self.entries)


def write_explanations(
    explainer: FileExplainer, videos: Mapping[str, Path], folder: Path, *, say: Callable[[str], None]
) -> list[str]:
    """Explain the videos, by the names of their outputs, into `folder`, whose files appear at the end, all at once, in
    place of those of an earlier call; returns an error for each video that could not be explained.

    Raises VidexpError where there is one video alone and it fails.
    """
    failed: list[str] = []
    with renewing_explanations(folder) as temporary:
        for name, path in videos.items():
            try:
                lines = explainer.explain_file(path, name, temporary)
            except BadRequest:  # it would be of all of them
                raise
            except VidexpError as error:
                if len(videos) == 1:
                    raise
                failed.append(str(error).splitlines()[0])
                continue
            for line in lines:
                say(line)
        write_text(temporary / PAGE, explainer.page())
    return failed


def _title(explanation: Explanation, facts: Mapping[str, Any]) -> str:
    """`right (0.982)`; `transition after frame 31, 1.24 s (0.873)`."""
    at = ""
    if frame := facts.get("frame"):
        at = f" {'after' if 'probability' in facts else 'of'} frame {frame['number']} ({frame['seconds']:g} s)"
    sure = f", probability {facts['probability']:.3f}" if "probability" in facts else ""
    return f"{explanation.facts['about']}{at}{sure}"


def _looked_at(facts: Mapping[str, Any]) -> str:
    clip = facts["clip"]
    frames = clip["frames"]
    view = f", view {clip['view']} of {clip['views']}" if clip["views"] > 1 else ""
    return f"looked at: {len(frames)} frames from {frames[0]} to {frames[-1]}{view}"


def _entry(path: Path, title: str, told: list[str], explanation: Explanation, files: list[Path]) -> PageEntry:
    first, *rest = told
    doubtful = is_doubtful(explanation.facts)
    return PageEntry(
        title=f"{escape_name(path.name)}: {title}",
        lines=rest if doubtful else told,
        warnings=[first] if doubtful else [],
        videos=[files[0]],
        pictures=[files[1]],
    )
