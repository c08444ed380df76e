"""Do the parts of a config fit each other, the data and the machine? Each rule is one function of plain values."""

from collections.abc import Iterator
from typing import Any

from videxp.config.checking.cuts import check_cuts
from videxp.config.checking.fitting_data import check_corruptions, check_data, check_parts
from videxp.config.checking.machine import count_cores, count_gpus
from videxp.config.checking.metric_names import logged_metrics
from videxp.config.checking.targets import class_name, signature_of, target_of
from videxp.config.problems import NOTHING, Problem, suggestion
from videxp.core.contract import contract_of


def check_fit(plain: dict[str, Any], *, broken: set[str]) -> list[Problem]:
    """Problems between parts; rules about keys in `broken`, which are wrong by themselves, are left out."""

    def sound(*keys: str) -> bool:
        return not any(f"{a}.".startswith(f"{b}.") for key in keys for other in broken for a, b in _both(key, other))

    problems: list[Problem] = []
    if sound("hardware"):
        problems += _check_devices(plain["hardware"])
        if not problems and sound("dataset.batch_size"):
            problems += _check_batch(plain)
    if sound("task._target_"):
        problems += [*_check_monitors(plain), *_check_distillation(plain["task"])]
    if sound("trainer"):
        problems += _check_limits(plain["trainer"])
        problems += _check_manual_steps(plain)
    if sound("callbacks"):
        problems += _check_checkpoint(plain.get("callbacks") or {})
    if sound("model._target_", "task._target_"):
        problems += [*_check_network(plain), *_check_frozen(plain)]
        if sound("dataset"):
            problems += list(_check_targets(plain)) or [*_check_scale(plain), *_check_told(plain)]
    if sound("model._target_", "dataset.num_frames", "dataset.size"):
        problems += _check_clip(plain)
    if sound("dataset", "task"):
        problems += _check_protocol(plain)
    if sound("dataset", "task._target_"):
        problems += _check_range(plain)
    if sound("dataset"):
        problems += [
            *check_parts(plain["dataset"]),
            *check_cuts(plain["dataset"]),
            *check_corruptions(plain["dataset"]),
        ]
        problems += check_data(plain, model_is_sound=sound("model"))
    return problems


def _both(one: str, other: str) -> list[tuple[str, str]]:
    """A key is touched by a problem of its part (`dataset`) as by one beneath it (`dataset.size`)."""
    return [(one, other), (other, one)]


# --- hardware ----------------------------------------------------------------------------------------------------


def _check_devices(hardware: dict[str, Any]) -> Iterator[Problem]:
    accelerator, devices = hardware.get("accelerator", "auto"), hardware.get("devices", "auto")
    strategy, gpus, cores = hardware.get("strategy", "auto"), count_gpus(), count_cores()
    on_gpu = accelerator in ("gpu", "cuda") or (accelerator == "auto" and gpus > 0)
    number = len(devices) if isinstance(devices, list) else devices
    if accelerator in ("gpu", "cuda") and gpus == 0:
        yield Problem("hardware.accelerator", accelerator, "this machine has no GPU that is visible; hardware=cpu")
    elif on_gpu and number != "auto" and number > gpus:
        yield Problem(
            "hardware.devices", devices, f"more than the {gpus} GPUs of this machine; hardware.devices={gpus}"
        )
    elif on_gpu and isinstance(devices, list) and max(devices, default=0) >= gpus:
        yield Problem("hardware.devices", devices, f"this machine's {gpus} GPUs are numbered from 0 to {gpus - 1}")
    elif not on_gpu and isinstance(devices, list):
        yield Problem("hardware.devices", devices, "a list names GPUs, but this runs on the CPU; write a number")
    elif not on_gpu and number != "auto" and number > max(2, cores):
        limit = max(2, cores)
        yield Problem(
            "hardware.devices", devices, f"more processes than the {cores} cores here; hardware.devices={limit}"
        )
    if strategy == "fsdp" and not on_gpu:
        yield Problem("hardware.strategy", strategy, "needs GPUs; hardware=ddp_cpu")
    if strategy == "single" and number not in ("auto", 1):
        yield Problem("hardware.strategy", strategy, f"uses one device, not {number}; hardware.strategy=ddp")


def _check_batch(plain: dict[str, Any]) -> Iterator[Problem]:
    batch, ranks = plain["dataset"].get("batch_size"), _ranks(plain["hardware"])
    if isinstance(batch, int) and batch % ranks:
        below = batch - batch % ranks
        near = f"{below} or {below + ranks}" if below else str(ranks)
        yield Problem("dataset.batch_size", batch, f"does not divide over {ranks} processes; write {near}")


def _ranks(hardware: dict[str, Any]) -> int:
    devices, gpus = hardware.get("devices", "auto"), count_gpus()
    if hardware.get("strategy") == "single":
        return 1
    if devices == "auto":
        devices = gpus if gpus and hardware.get("accelerator") != "cpu" else 1
    return (len(devices) if isinstance(devices, list) else devices) * hardware.get("num_nodes", 1)


def _check_limits(trainer: dict[str, Any]) -> Iterator[Problem]:
    """Lightning takes a share or a number, and says so only once the data is prepared."""
    for key, value in trainer.items():
        if (key.startswith("limit_") or key == "val_check_interval") and isinstance(value, float) and value > 1:
            message = f"a number of batches, such as {round(value)}, or a share of them, up to 1.0"
            yield Problem(f"trainer.{key}", value, message)
        if key == "limit_train_batches" and value == 0 and not isinstance(value, bool) and value is not None:
            yield Problem(f"trainer.{key}", value, f"no batch, and nothing to train on; trainer.{key}=null takes all")


def _check_manual_steps(plain: dict[str, Any]) -> Iterator[Problem]:
    """What the trainer does for one optimizer only, a task with two does itself."""
    target = target_of(plain.get("task"))
    contract = contract_of(target)
    for key, of_task in contract.instead_of_trainer.items() if contract else ():
        value = plain["trainer"].get(key)
        if value is not None and (key, value) != ("accumulate_grad_batches", 1):
            yield Problem(f"trainer.{key}", value, f"{class_name(target)} has two optimizers; task.{of_task}={value}")


def _check_protocol(plain: dict[str, Any]) -> Iterator[Problem]:
    """A figure's name tells the length and stride of its clips, and the data set makes them."""
    protocol = plain["task"].get("protocol")
    if not isinstance(protocol, dict):
        return
    dataset, clips = plain["dataset"], plain["dataset"].get("clips") or {}
    length = ("num_frames", dataset) if clips.get("test_frames") is None else ("clips.test_frames", clips)
    for key, (makes, node) in {"num_frames": length, "stride_frames": ("stride_frames", dataset)}.items():
        named, made = protocol.get(key), node.get(makes.rpartition(".")[2])
        if isinstance(named, int) and isinstance(made, int) and named != made:
            both = f"dataset.{makes}={named} task.protocol.{key}={named}"
            message = f"only names the clips, which are of dataset.{makes}={made}; write both alike: {both}"
            yield Problem(f"task.protocol.{key}", named, message)


def _check_range(plain: dict[str, Any]) -> Iterator[Problem]:
    """A task may say in which range its clips are; the data must come in the same."""
    target, dataset = target_of(plain.get("task")), plain.get("dataset")
    contract = contract_of(target)
    transform = dataset.get("train_transform") if isinstance(dataset, dict) else None
    if contract is None or not isinstance(transform, dict):
        return
    for key, value in contract.normalization.items():
        if key in transform and list(transform[key]) != [value] * 3:
            message = (
                f"{class_name(target)} goes by another range; dataset.train_transform.{key}=[{value},{value},{value}]"
            )
            yield Problem(f"dataset.train_transform.{key}", transform[key], message)


# --- metrics -----------------------------------------------------------------------------------------------------


def _check_monitors(plain: dict[str, Any]) -> Iterator[Problem]:
    """What a callback watches must be logged, and in the direction in which it gets better."""
    every = logged_metrics(plain["task"])
    if every is None:
        return
    logged = {name: mode for name, mode in every.items() if name.startswith("val/")}
    watchers = {"task": plain.get("task"), **{f"callbacks.{k}": v for k, v in (plain.get("callbacks") or {}).items()}}
    for path, node in watchers.items():
        if not isinstance(node, dict) or not isinstance(node.get("monitor"), str) or node["monitor"] == "???":
            continue
        name = node["monitor"]
        inherited = path != "task" and name == (plain.get("task") or {}).get("monitor")
        if name not in logged and not inherited:
            yield Problem(f"{path}.monitor", name, f"nobody logs it; {suggestion(name, logged)}")
        elif node.get("mode") in ("min", "max") and logged.get(name, node["mode"]) != node["mode"]:
            word = "higher" if logged[name] == "max" else "lower"
            yield Problem(f"{path}.mode", node["mode"], f"{name} is better when {word}; {path}.mode={logged[name]}")


def _check_distillation(task: dict[str, Any]) -> Iterator[Problem]:
    for key in ("teacher_weight", "temperature"):
        if key in task and task.get("teacher") is None:
            yield Problem(f"task.{key}", task[key], "is of distillation, and there is no task.teacher=RUN")


def _check_checkpoint(callbacks: dict[str, Any]) -> Iterator[Problem]:
    """`callbacks=early_stopping` replaces the default choice, which writes the weights."""
    if not any(target_of(node).endswith(".Checkpoint") for node in callbacks.values()):
        chosen = ",".join(["checkpoint", *callbacks])
        yield Problem("callbacks", list(callbacks), f"no weights would be saved; callbacks=[{chosen}]")


# --- data and model ----------------------------------------------------------------------------------------------


def _check_network(plain: dict[str, Any]) -> Iterator[Problem]:
    """Of the networks that come with videxp, a task can only train those that it knows how to speak to."""
    target, task = target_of(plain.get("model")), target_of(plain.get("task"))
    model, contract = signature_of(target), contract_of(task)
    if model is None or contract is None or not target.startswith("videxp."):
        return
    needed = contract.network_parameter
    kind = model.constants.get("network_parameter")  # of those whose parameters do not tell
    fits = kind == needed if kind else needed in (*model.parameters, *model.constants)
    if needed and not fits:
        message = f"no network for {class_name(task)}, whose models take `{needed}`; videxp list models"
        yield Problem("model", target, message)


def _check_frozen(plain: dict[str, Any]) -> Iterator[Problem]:
    """A network that is to be evaluated as it is, and has nothing to be evaluated with."""
    task, model = plain.get("task") or {}, plain.get("model") or {}
    if task.get("frozen") is True and "weights" in model and model["weights"] is None:
        yield Problem("task.frozen", True, "the network would be evaluated as it begins; model.weights=FILE")


def _check_scale(plain: dict[str, Any]) -> Iterator[Problem]:
    """A network that enlarges by another factor than the data was made smaller by."""
    model, contract = signature_of(target_of(plain.get("model"))), contract_of(target_of(plain.get("task")))
    if model is None or contract is None or contract.network_parameter != "scale":
        return
    default = model.parameters["scale"].default if "scale" in model.parameters else model.constants.get("scale")
    enlarges, reduced = plain["model"].get("scale", default), (plain.get("dataset") or {}).get("scale", 1)
    if isinstance(enlarges, int) and isinstance(reduced, int) and enlarges != reduced:
        of = "(model.scale)" if "scale" in model.parameters else "(it is no network that enlarges)"
        message = f"the model enlarges {enlarges} times {of}; dataset.scale={enlarges}"
        yield Problem("dataset.scale", reduced, message)


def _check_told(plain: dict[str, Any]) -> Iterator[Problem]:
    """A network that is told something of its input, such as a level of noise, and data that do not tell it."""
    model, dataset = signature_of(target_of(plain.get("model"))), plain.get("dataset") or {}
    blind = (plain.get("model") or {}).get("blind")  # of a network that can do without
    told = model.constants.get("told") if model is not None and not blind else None
    transform = dataset.get("test_transform") or {}
    sources = [signature_of(target_of(node)) for node in (transform, transform.get("degradation"))]
    tells = [source.constants.get("tells") for source in sources if source is not None]
    if told and told not in tells:
        given = next(filter(None, tells), "nothing")
        message = f"the model is told a {told}, and the degradation tells {given}; videxp.transforms has those that do"
        yield Problem("dataset.test_transform.degradation", NOTHING, message)


def _check_targets(plain: dict[str, Any]) -> Iterator[Problem]:
    """A task that needs clean clips to compare with, and a data set that comes with videxp and gives none."""
    dataset = plain.get("dataset") or {}
    task, target = target_of(plain.get("task")), target_of(dataset.get("test_transform"))
    contract, transform = contract_of(task), signature_of(target)
    if contract is None or transform is None or not target.startswith("videxp."):
        return
    if "target" in contract.needs and not transform.constants.get("gives_target"):
        message = f"gives no clean clips to compare with, which {class_name(task)} needs; dataset=video_folder does"
        yield Problem("dataset", dataset.get("name"), message)


def _check_clip(plain: dict[str, Any]) -> Iterator[Problem]:
    """The frames and pixels of a clip against what the model declares by `@accepts`."""
    model, dataset = signature_of(target_of(plain.get("model"))), plain.get("dataset")
    if model is None or not model.accepts or not isinstance(dataset, dict):
        return
    for key, unit, name in (("num_frames", "frames", "frames"), ("size", "pixels", "size")):
        value = dataset.get(key)
        least, step = model.accepts.get(f"min_{name}", 1), model.accepts.get(f"{name}_multiple", 1)
        if isinstance(value, int) and not isinstance(value, bool) and (value < least or value % step):
            wanted = [f"at least {least} {unit}"] * (least > 1) + [f"a multiple of {step}"] * (step > 1)
            fits = max(least, -(-value // step) * step)
            message = f"{model.qualname} takes {' and '.join(wanted)}; dataset.{key}={-(-fits // step) * step}"
            yield Problem(f"dataset.{key}", value, message)
