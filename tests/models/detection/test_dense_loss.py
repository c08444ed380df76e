"""SimOTA and its losses beside a slow version of plain loops in numpy, written from the papers."""

import numpy as np
import pytest
import torch

from videxp.models.detection.dense_loss import assign_places, dense_detection_loss
from videxp.models.detection.interface import BoxTargets, DenseAnswer


def iou(one: np.ndarray, other: np.ndarray) -> float:
    width = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    height = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    union = (one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1]) - width * height
    return width * height / union


def giou(one: np.ndarray, other: np.ndarray) -> float:
    overlap = iou(one, other)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    union = sum(areas) / (1 + overlap)
    hull = (max(one[2], other[2]) - min(one[0], other[0])) * (max(one[3], other[3]) - min(one[1], other[1]))
    return overlap - (hull - union) / hull


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def cross_entropy(probability: np.ndarray, target: np.ndarray) -> float:
    return float(-(target * np.log(probability) + (1 - target) * np.log(1 - probability)).sum())


def slow_assignment(answer: DenseAnswer, targets: BoxTargets) -> dict[tuple[int, int], int]:
    """(clip, place) -> true box."""
    xyxy, objectness, classes, centers, strides = (part.double().numpy() for part in answer)
    found: dict[tuple[int, int], int] = {}
    for clip in range(len(xyxy)):
        boxes = [m for m in range(len(targets.clip)) if int(targets.clip[m]) == clip]
        inside, central = {}, {}
        for m in boxes:
            x0, y0, x1, y1 = targets.xyxy[m].tolist()
            for place, (x, y) in enumerate(centers):
                inside[m, place] = x0 < x < x1 and y0 < y < y1
                reach = 2.5 * strides[place]
                central[m, place] = abs(x - (x0 + x1) / 2) < reach and abs(y - (y0 + y1) / 2) < reach
        near = [p for p in range(len(centers)) if any(inside[m, p] or central[m, p] for m in boxes)]
        cost, taken = {}, {}
        for m in boxes:
            overlaps = {p: iou(targets.xyxy[m].double().numpy(), xyxy[clip, p]) for p in near}
            for p in near:
                score = np.sqrt(sigmoid(classes[clip, p]) * sigmoid(objectness[clip, p]))
                wrong = cross_entropy(score, targets.classes[m].double().numpy())
                cost[m, p] = wrong - 3 * np.log(overlaps[p] + 1e-8) + 1e5 * (not (inside[m, p] and central[m, p]))
            count = max(1, int(sum(sorted(overlaps.values())[-10:])))
            taken[m] = sorted(near, key=lambda p: cost[m, p])[:count]
        for p in near:
            takers = [m for m in boxes if p in taken[m]]
            if len(takers) > 1:
                takers = [min(boxes, key=lambda m: cost[m, p])]
            if takers:
                found[clip, p] = takers[0]
    return found


def drawn(seed: int, *, boxes: tuple[int, ...]) -> tuple[DenseAnswer, BoxTargets]:
    """Places at strides 8 and 16 of 64x64 pixels, whose boxes lie around them; `boxes` of each clip, some of which
    overlap."""
    rng = np.random.default_rng(seed)
    centers, strides = [], []
    for stride in (8, 16):
        steps = (np.arange(64 // stride) + 0.5) * stride
        centers += [(x, y) for y in steps for x in steps]
        strides += [stride] * len(steps) ** 2
    at, clips = np.array(centers), len(boxes)
    half = rng.uniform(4, 18, (clips, len(at), 2))
    middle = at + rng.normal(0, 4, (clips, len(at), 2))
    answer = DenseAnswer(
        torch.from_numpy(np.concatenate([middle - half, middle + half], -1)).float(),
        torch.from_numpy(rng.normal(0, 2, (clips, len(at)))).float(),
        torch.from_numpy(rng.normal(0, 2, (clips, len(at), 3))).float(),
        torch.from_numpy(at).float(),
        torch.tensor(strides).float(),
    )
    low = rng.uniform(0, 36, (sum(boxes), 2))
    xyxy = torch.from_numpy(np.concatenate([low, low + rng.uniform(8, 28, low.shape)], -1)).float()
    classes = torch.from_numpy(np.eye(3)[rng.integers(3, size=sum(boxes))]).float()
    return answer, BoxTargets(xyxy, classes, torch.repeat_interleave(torch.arange(clips), torch.tensor(boxes)))


@pytest.mark.parametrize("seed", range(4))
def test_places_and_losses_are_those_of_plain_loops(seed: int):
    answer, targets = drawn(seed, boxes=(3, 0, 5, 1))
    slow = slow_assignment(answer, targets)
    found = assign_places(answer, targets)
    assert {(b, p): m for b, p, m in zip(*(part.tolist() for part in found[:3]))} == slow
    assert len(slow) > len(targets.clip)

    xyxy, objectness, classes, _, _ = (part.double().numpy() for part in answer)
    is_object = np.array([[(b, p) in slow for p in range(xyxy.shape[1])] for b in range(len(xyxy))])
    expected = {"objectness": cross_entropy(sigmoid(objectness), is_object), "class": 0.0, "box": 0.0}
    for (b, p), m in slow.items():
        true = targets.xyxy[m].double().numpy()
        soft = targets.classes[m].numpy() * iou(true, xyxy[b, p])
        expected["class"] += cross_entropy(sigmoid(classes[b, p]), soft)
        expected["box"] += 5 * (1 - giou(true, xyxy[b, p]))
    losses = dense_detection_loss(answer, targets)
    assert {name: float(value) for name, value in losses.items()} == pytest.approx(
        {name: value / len(slow) for name, value in expected.items()}, rel=1e-4
    )


def test_without_boxes_there_is_the_loss_of_objects_alone():
    answer, targets = drawn(0, boxes=(0, 0))
    losses = dense_detection_loss(answer, targets)
    assert float(losses["class"]) == 0 == float(losses["box"]) and float(losses["objectness"]) > 0


def test_its_gradient_brings_boxes_to_the_true_ones():
    answer, targets = drawn(1, boxes=(2, 3))
    parts = [part.clone().requires_grad_() for part in answer[:3]]
    optimizer = torch.optim.Adam(parts, lr=0.5)
    for _ in range(150):
        optimizer.zero_grad()
        losses = dense_detection_loss(DenseAnswer(*parts, *answer[3:]), targets)
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
    assigned = assign_places(DenseAnswer(*parts, *answer[3:]), targets)
    assert assigned.iou.min() > 0.95
    is_object = torch.zeros_like(parts[1], dtype=torch.bool)
    is_object[assigned.clip, assigned.place] = True
    assert bool((parts[1][is_object] > 0).all()) and bool((parts[1][~is_object] < 0).all())
