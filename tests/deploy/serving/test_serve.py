"""videxp serve: answers, batches, refusals, and what it survives. Real files, real processes, real signals."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import requests
import torch

from benchmarks.serve import descendants, run_load
from tests.browser import browser
from tests.conftest import videxp
from tests.deploy.serving.server import SECONDS, Server, is_running, serving, wait_until
from tests.films import moving_bar
from videxp.video import open_video, write_video

pytestmark = pytest.mark.slow
TOKEN = "a8Kd93kQw0-sesame"


@pytest.fixture(scope="module")
def videos(finished) -> list[Path]:
    data = finished[0].parent.parent / "data"
    return sorted(data.glob("moving_digits/40px-10f-*/test/*/*.mp4"))[:6]


@pytest.fixture(scope="module")
def classifier(finished, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two workers, batches of 4, 2 more that wait; few seconds, pixels and bytes."""
    words = ["--workers", "2", "--batch", "4", "--queue", "2"]
    limits = ["--max-mb", "0.5", "--max-seconds", "4", "--max-pixels", "20000"]
    folder = tmp_path_factory.mktemp("classifier")
    with serving(finished[0], *words, *limits, folder=folder, token=TOKEN) as server:
        yield server


@pytest.fixture(scope="module")
def restorer(restored: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One worker, little memory."""
    words = ["--memory-mb", "200", "--", "--crf", "10"]
    with serving(restored, *words, folder=tmp_path_factory.mktemp("restorer")) as server:
        yield server


def predicted(run: Path, videos: list[Path]) -> list[dict]:
    done = videxp("predict", str(run), *map(str, videos), cwd=run.parent.parent)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_requests_are_answered_in_batches_as_predict_answers_each(classifier: Server, videos: list[Path], finished):
    batches = classifier.metric("videxp_batches_total")
    with classifier.held(*videos) as sent:
        classifier.signal_workers(signal.SIGCONT)
    answers = [one.result().json() for one in sent]
    for answer, expected, video in zip(answers, predicted(finished[0], videos), videos):
        assert answer["path"] == video.name and answer["label"] == expected["label"]
        assert answer["probabilities"] == pytest.approx(expected["probabilities"], abs=2e-6)
    assert classifier.metric("videxp_batches_total") - batches < len(videos)
    assert classifier.left == []


def test_a_request_beyond_the_queue_is_told_when_to_come_again(classifier: Server, videos: list[Path]):
    with classifier.held(*videos, *videos[:4]) as sent:  # 2 workers x 4, and 2 that wait
        refused = classifier.send(videos[0])
        assert refused.status_code == 429 and int(refused.headers["Retry-After"]) >= 1
        assert refused.json() == {"error": "10 requests are under way already"}
        assert classifier.get("/health").json()["workers"] == 2
        classifier.signal_workers(signal.SIGCONT)
    assert [one.result().status_code for one in sent] == [200] * 10


def test_only_who_has_the_token_is_answered(classifier: Server, videos: list[Path], finished):
    for headers in ({"Authorization": ""}, {"Authorization": "Bearer sesame"}, {"Authorization": f"Basic {TOKEN}"}):
        refused = classifier.send(videos[0], **headers)
        assert refused.status_code == 401 and refused.headers["WWW-Authenticate"] == "Bearer"
        assert classifier.get("/metrics", **headers).status_code == 401
        assert classifier.get("/openapi.json", **headers).status_code == 401
        assert classifier.get("/health", **headers).status_code == 200
    assert TOKEN not in classifier.printed.read_text()
    done = videxp("serve", str(finished[0]), "--host", "0.0.0.0", "--port", "0", cwd=finished[0].parent)
    assert done.returncode == 2 and "VIDEXP_SERVE_TOKEN" in done.stderr
    assert classifier.address.startswith("http://127.0.0.1:")


def long_film(folder: Path) -> Path:
    write_video(folder / "long.mp4", moving_bar(num_frames=50), fps=10)
    return folder / "long.mp4"


def test_what_is_no_plain_short_small_video_is_refused_before_it_is_decoded(
    classifier: Server, films: dict[str, Path], tmp_path: Path
):
    wide = tmp_path / "wide.mp4"
    write_video(wide, np.zeros((2, 160, 160, 3), np.uint8), fps=10)
    (tmp_path / "bar.mp4").write_bytes(films["bar.mp4"].read_bytes())
    concat = tmp_path / "concat.mp4"
    concat.write_text("ffconcat version 1.0\nfile bar.mp4\n")
    with av.open(str(concat)) as stock:
        assert next(stock.decode(video=0)).width == 32  # FFmpeg by itself reads the other file
    playlist = tmp_path / "playlist.mp4"
    playlist.write_text(f"#EXTM3U\n#EXTINF:1,\nfile://{films['bar.mp4']}\n#EXT-X-ENDLIST\n")
    with (
        av.open(str(films["bar.mp4"])) as source,
        av.open(str(tmp_path / "bar.y4m"), "w", format="yuv4mpegpipe") as out,
    ):
        stream = out.add_stream("wrapped_avframe", 10)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        out.mux([packet for frame in source.decode(video=0) for packet in stream.encode(frame)])
    noisy = np.random.default_rng(0).bytes(600_000)
    expected = {
        concat: (415, "not a video in mp4, mov, mkv, webm, avi or ts"),
        playlist: (415, "not a video in"),
        tmp_path / "bar.y4m": (415, "not a video in"),
        films["broken.mp4"]: (415, "not a video in"),
        wide: (413, "its pictures are 160x160: at most 20,000 pixels"),
        long_film(tmp_path): (413, "the video is 5.0 s long: at most 4 s"),
    }
    for path, (status, words) in expected.items():
        answer = classifier.send(path)
        assert answer.status_code == status and words in answer.json()["error"], (path, answer.text)
        assert "/" not in answer.json()["error"].replace("I/O", "")
    answer = classifier.send(noisy)
    assert answer.status_code == 413 and answer.json()["error"] == "the video is larger than 500,000 bytes"
    for body, status in (({"data": {"video": "x"}}, 415), ({"files": {"other": ("a.mp4", b"x")}}, 400)):
        answer = requests.post(f"{classifier.address}/predict", headers=classifier.headers, timeout=SECONDS, **body)
        assert answer.status_code == status, answer.text
        assert "curl -F video=@FILE" in answer.json()["error"]
    assert classifier.left == []


def test_a_length_that_the_container_understates_is_not_believed(classifier: Server, tmp_path: Path):
    content = bytearray(long_film(tmp_path).read_bytes())
    for box, offset in ((b"mvhd", 20), (b"tkhd", 24), (b"mdhd", 20)):  # a duration of 1
        at = content.find(box) + offset
        content[at : at + 4] = (1).to_bytes(4, "big")
    (tmp_path / "lies.mp4").write_bytes(content)
    with av.open(str(tmp_path / "lies.mp4")) as stock:
        assert stock.duration < 4e6
    answer = classifier.send(tmp_path / "lies.mp4")
    assert answer.status_code == 413 and "s long: at most 4 s" in answer.text, answer.text


def test_a_killed_worker_costs_its_own_request_alone(classifier: Server, videos: list[Path]):
    idle = classifier.workers
    classifier.signal_workers(signal.SIGKILL)  # idle ones cost nothing
    wait_until(lambda: not any(map(is_running, idle)) and len(classifier.workers) == 2)
    assert classifier.send(videos[0]).status_code == 200
    before = classifier.metric("videxp_worker_restarts_total")
    with classifier.held(videos[0]) as (one,):
        classifier.signal_workers(signal.SIGKILL)
        assert one.result().status_code == 503 and one.result().headers["Retry-After"] == "1"
        assert one.result().json() == {"error": "the worker has ended: send the video again"}
    with classifier.held(*videos) as several:  # each worker has taken one alone, or several, which are tried one by one
        classifier.signal_workers(signal.SIGKILL)
    statuses = [answer.result().status_code for answer in several]
    assert statuses.count(200) >= len(videos) - 2 and set(statuses) <= {200, 503}
    assert classifier.metric("videxp_worker_restarts_total") >= before + 2
    assert classifier.left == []


def test_openapi_describes_the_form(classifier: Server):
    told = classifier.get("/openapi.json").json()
    predict = told["paths"]["/predict"]["post"]
    form = predict["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["properties"]["video"]["format"] == "binary" and form["required"] == ["video"]
    assert {"200", "413", "415", "429", "503"} <= set(predict["responses"])
    missing = classifier.get("/docs")  # FastAPI's page asks other hosts for its scripts
    assert (missing.status_code, missing.json()) == (404, {"error": "Not Found: GET /docs"})
    other = classifier.get("/predict")
    assert (other.status_code, other.json()) == (405, {"error": "Method Not Allowed: GET /predict"})
    assert other.headers["Allow"] == "POST"


def test_a_restored_video_is_what_predict_writes(
    restorer: Server, restored: Path, films: dict[str, Path], tmp_path: Path
):
    answer = restorer.send(films["bar.mp4"])
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "video/mp4", answer.text
    (tmp_path / "answer.mp4").write_bytes(answer.content)
    words = ["predict", str(restored), str(films["bar.mp4"]), "--crf", "10", "-o", str(tmp_path / "predicted.mp4")]
    assert videxp(*words, cwd=restored.parent.parent).returncode == 0
    clips = []
    for name in ("answer.mp4", "predicted.mp4"):
        with open_video(tmp_path / name) as reader:
            clips.append(reader.frames(range(reader.num_frames)))
    np.testing.assert_array_equal(*clips)
    assert restorer.left == []


def test_the_time_of_a_request_is_limited(finished, videos: list[Path], tmp_path: Path):
    """On a server of its own: a second is too little for an answer where a machine is busy."""
    with serving(finished[0], "--timeout", "1", folder=tmp_path) as server:
        late_workers = server.workers
        server.signal_workers(signal.SIGSTOP)
        late = server.send(videos[0])
        assert late.status_code == 504 and "no answer within 1 s" in late.text
        wait_until(lambda: not any(map(is_running, late_workers)) and server.get("/health").status_code == 200)
        assert server.left == []


def test_the_memory_of_a_request_is_limited(restorer: Server, films: dict[str, Path], tmp_path: Path):
    large = tmp_path / "large.mp4"
    write_video(large, np.zeros((30, 480, 640, 3), np.uint8), fps=10)
    answer = restorer.send(large)
    assert answer.status_code == 413 and "more than 200 MiB of memory" in answer.json()["error"], answer.text
    assert restorer.send(films["bar.mp4"]).status_code == 200
    assert restorer.left == []


def test_the_page_shows_labels_and_asks_no_other_host(classifier: Server, videos: list[Path], finished, tmp_path: Path):
    with browser(tmp_path / "profile") as page:
        page.open(f"{classifier.address}/")
        page.wait("document.title.startsWith('finished')")
        page.choose("#file", videos[0])
        page.wait("document.querySelector('#input').readyState >= 2")
        page.run(f"document.querySelector('#token').value = '{TOKEN}'")
        page.run("document.querySelector('#send').click()")
        page.wait("document.querySelectorAll('.bar').length === 5")
        (expected,) = predicted(finished[0], videos[:1])
        assert page.run("document.querySelector('.bar.first span').textContent") == expected["label"]
        assert json.loads(page.run("document.querySelector('pre').textContent"))["path"] == videos[0].name
        page.screenshot(tmp_path / "classifier.png")
        assert page.problems == []
        page.run("document.querySelector('#token').value = 'wrong'; document.querySelector('#send').click()")
        page.wait("document.querySelector('#state').textContent.startsWith('the token is missing or wrong')")


def test_the_page_plays_a_restored_video_beside_its_input(restorer: Server, films: dict[str, Path], tmp_path: Path):
    with browser(tmp_path / "profile") as page:
        page.open(f"{restorer.address}/")
        page.choose("#file", films["bar.mp4"])
        page.run("document.querySelector('#send').click()")
        page.wait("document.querySelector('#output').readyState >= 2")
        assert (
            page.run("document.querySelector('#output').videoWidth / document.querySelector('#input').videoWidth") == 4
        )
        page.run("document.querySelector('#input').play()")
        page.wait("document.querySelector('#output').currentTime > 0.3")
        page.screenshot(tmp_path / "restorer.png")
        assert page.problems == []
        assert page.run("document.documentElement.scrollWidth <= innerWidth")


def test_more_clients_than_it_can_answer_get_answers_or_are_told_to_wait(finished, videos: list[Path], tmp_path: Path):
    with serving(finished[0], "--batch", "4", "--queue", "4", folder=tmp_path) as server:
        load = run_load(
            server.address, server.process.pid, [video.read_bytes() for video in videos], clients=24, seconds=4
        )
        assert set(load.statuses) <= {200, 429, 503} and load.statuses[200] > 10, load.lines()
        assert load.growth < 0.2, load.lines()
        assert len(load.lines()) == 3 and server.left == []
        children = descendants(server.process.pid)
        os.kill(server.process.pid, signal.SIGINT)
        server.process.join(SECONDS)
        assert server.process.exitcode == 0 and server.printed.read_text().endswith("ended\n")
        assert list(server.spool.iterdir()) == []
        wait_until(lambda: not any(map(is_running, children)))


def test_an_exported_file_answers_as_its_run_does(finished, videos: list[Path], tmp_path: Path):
    file = tmp_path / "model.onnx"
    words = ["--format", "onnx", "-o", str(file), "--clips", "2"]
    done = videxp("export", str(finished[0]), *words, cwd=finished[0].parent.parent)
    assert done.returncode == 0, done.stderr
    expected = predicted(finished[0], videos)
    with serving(file, folder=tmp_path, cwd=finished[0].parent.parent) as server:
        with server.held(*videos) as sent:
            server.signal_workers(signal.SIGCONT)
        for answer, one in zip(sent, expected):
            assert answer.result().json()["probabilities"] == pytest.approx(one["probabilities"], abs=1e-5)
        assert server.get("/health").json()["serves"] == "model.onnx (Classification)"
        starter, *_ = descendants(server.process.pid)
        with server.held(videos[0]) as (waiting,):
            os.kill(starter, signal.SIGKILL)
            server.signal_workers(signal.SIGKILL)
            assert waiting.result().json() == {"error": "the service has ended: send the video again later"}
        server.process.join(SECONDS)
        assert server.process.exitcode == 1 and "Traceback" not in server.printed.read_text()
    file.write_bytes(file.read_bytes()[:500])
    done = videxp("serve", str(file), cwd=tmp_path)
    assert done.returncode == 2 and "damaged" in done.stderr and len(done.stderr.splitlines()) <= 3, done.stderr


def test_bad_requests_are_one_line(finished, tmp_path: Path):
    run = str(finished[0])
    for words, told in (
        ([run, "--", "--thresold", "1"], "unrecognized arguments: --thresold 1"),
        ([run, "--", "-o", "x.json"], "leave it out"),
        ([run, "--token", "short"], "at least 8 characters"),
        ([run, "--port", "1.5"], "--port"),
        ([run, "--host", "192.0.2.1", "--token", TOKEN], "give an address of this machine"),
        ([str(tmp_path)], str(tmp_path)),
    ):
        done = videxp("serve", *words, cwd=tmp_path)
        assert done.returncode == 2 and told in done.stderr and len(done.stderr.splitlines()) <= 3, done.stderr


@pytest.mark.skipif(
    torch.cuda.is_available(), reason="a service on a GPU that is not there is not checked: one is here"
)
def test_a_service_that_can_start_no_worker_ends_and_says_why(finished):
    done = videxp("serve", str(finished[0]), "--port", "0", "--device", "cuda", cwd=finished[0].parent.parent)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    cause, end = done.stderr.splitlines()
    assert (
        cause.startswith("videxp: --device cuda: not to be used here") and end == "videxp: no worker could be started"
    )
