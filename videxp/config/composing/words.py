"""What other frameworks call our keys: `epochs=`, `gpus=`, `learning_rate=` are answered with the right key."""

from collections.abc import Collection

# Our key: other words for it, as the last part of a key or, with a dot, for the end of one.
_WORDS = {
    "trainer.max_epochs": "epochs epoch num_epochs n_epochs max_epoch total_epochs num_train_epochs",
    "trainer.max_steps": "steps num_steps n_steps iters iterations max_iters num_iters max_iter total_steps",
    "trainer.gradient_clip_val": "grad_clip clip_grad gradient_clip gradient_clipping max_grad_norm clip_grad_norm",
    "trainer.accumulate_grad_batches": """accumulate accum accum_iter grad_accum gradient_accumulation accum_steps
        gradient_accumulation_steps accumulation_steps update_freq accumulate_grad""",
    "trainer.check_val_every_n_epoch": """eval_freq eval_interval eval_every val_freq val_interval val_every eval_period
        validate_every evaluation_interval val_check_interval""",
    "trainer.log_every_n_steps": "log_interval log_freq log_every print_freq print_interval logging_steps",
    "callbacks.checkpoint.every_n_epochs": """save_freq save_interval save_every checkpoint_interval checkpoint_period
        save_every_n_epochs""",
    "hardware.devices": """gpus gpu num_gpus n_gpus n_gpu ngpu ngpus nproc nproc_per_node num_devices gpu_ids device_ids
        world_size num_processes""",
    "hardware.num_workers": """num_workers workers n_workers nworkers num_worker dataloader_workers loader_workers
        dataloader_num_workers n_jobs""",
    "hardware.precision": "fp16 bf16 amp use_amp mixed_precision half",
    "hardware.num_nodes": "nodes n_nodes nnodes",
    "hardware.compile": "torch_compile compile_model",
    "optimizer.lr": "learning_rate base_lr init_lr initial_lr lr0 lrate start_lr",
    "optimizer.weight_decay": "wd weightdecay l2",
    "scheduler.warmup_epochs": "warmup warmup_epoch warm_up num_warmup_epochs",
    "dataset.root": """data_dir data_root data_path dataset_dir datadir dataset_path dataset_root video_dir video_root
        data_folder videos_dir dataset.path dataset.dir dataset.folder dataset.directory""",
    "dataset.batch_size": """bs batch batchsize train_batch_size batch_size_per_gpu per_gpu_batch_size samples_per_gpu
        videos_per_gpu global_batch_size per_device_train_batch_size trainer.batch_size""",
    "dataset.eval_batch_size": "val_batch_size test_batch_size eval_bs per_device_eval_batch_size",
    "dataset.num_frames": """frames n_frames nframes num_frame clip_len clip_length clip_frames frames_per_clip seq_len
        sequence_length sample_duration clip_duration_frames""",
    "dataset.stride_frames": """stride stride_frames frame_interval frame_stride temporal_stride
        frame_step frame_skip sampling_rate sample_rate step_between_frames""",
    "dataset.clips.clip_fps": "clip_fps fps target_fps frame_rate sampling_fps",
    "dataset.size": "img_size image_size crop_size input_size resolution imgsz spatial_size im_size train_crop_size",
    "dataset.layout.file": """layout.csv layout.table layout.manifest layout.annotation layout.annotations
        layout.annotation_file layout.file_name layout.filename layout.csv_file""",
    "dataset.layout.label_column": "layout.class layout.label layout.class_column layout.target layout.label_col",
    "dataset.layout.class_file": """layout.class layout.classes layout.class_names layout.class_list layout.names
        layout.labels layout.label_map""",
    "dataset.layout.path_column": "layout.path layout.video layout.video_column layout.video_path layout.path_col",
    "dataset.layout.split_column": "layout.split layout.split_col",
    "dataset.layout.group_column": "layout.group layout.groups layout.subject layout.subject_column",
    "dataset.layout.label_separator": "layout.separator layout.sep layout.delimiter",
    "dataset.layout.fold": "layout.split layout.split_number layout.split_id",
    "task.label_smoothing": "smoothing label_smooth",
    "task.monitor": "monitor_metric best_metric",
    "seed": "random_seed seed_everything manual_seed rng_seed seeds",
    "run.tags": "tags tag",
    "run.group": "exp_name experiment_name run_name exp wandb_group",
    "hydra.run.dir": """output_dir out output out_dir outdir save_dir save_path log_dir logdir work_dir workdir run_dir
        output_path exp_dir results_dir result_dir ckpt_dir checkpoint_dir""",
}
_ANSWERS = {
    "model=NAME (videxp list models)": """model_name arch architecture backbone network net model_type model.name
        model.type model.arch""",
    "dataset=NAME (videxp list datasets)": "data dataset_name data_name data_set dataset_type",
    "optimizer=NAME (videxp list optimizers)": "optim opt optimizer_name optimizer.name optimizer.type",
    "scheduler=NAME (videxp list schedulers)": "sched lr_scheduler lr_schedule lr_policy scheduler.name scheduler.type",
    "hardware=cpu, or another of videxp list hardware": "device cuda use_cuda no_cuda",
    "logger=NAME (videxp list loggers)": "wandb use_wandb tensorboard use_tensorboard log_wandb",
    "logger.wandb.project=NAME": "project wandb_project project_name logger.project",
    "callbacks=[checkpoint,nonfinite,ema]": "ema use_ema model_ema",
    "callbacks=[checkpoint,nonfinite,early_stopping]": "early_stopping early_stop patience",
    "trainer=quick": "debug quick",
    "`videxp resume RUN`, or run.resume=auto with hydra.run.dir=RUN": """resume resume_from resume_path load_from
        restore resume_from_checkpoint ckpt ckpt_path checkpoint checkpoint_path""",
    "weights to begin with, +model.weights=FILE, of a model that takes them": """pretrained weights pretrain finetune
        pretrained_path pretrained_weights pretrained_model load_weights model.pretrained""",
    "the recipe as the command's first argument, without a key": "experiment recipe config cfg config_file",
    "nothing: the data say how many classes there are": """num_classes n_classes nb_classes classes num_class n_class
        dataset.num_classes dataset.classes model.classes""",
}


def _by_word(table: dict[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for answer, words in table.items():
        for word in words.split():
            found.setdefault(word, []).append(answer)
    return found


def _with_own_names(table: dict[str, str]) -> dict[str, str]:
    """`lr` alone is optimizer.lr, too."""
    return {key: f"{words} {key.rpartition('.')[2]}" for key, words in table.items() if key.count(".") == 1} | {
        key: words for key, words in table.items() if key.count(".") != 1
    }


KEYS, ANSWERS = _by_word(_with_own_names(_WORDS)), _by_word(_ANSWERS)


def answer(key: str, known: Collection[str]) -> str:
    """What to write for an unknown key: where the same name stands deeper in the same part of the config, or what a
    word of other frameworks is called here; "" where it is neither.

    known: all full keys of the config, by which one of several meanings is chosen, and a `+` is needed or not.
    """
    part, _, name = key.rpartition(".")
    inside = [full for full in known if part and full != key and full.startswith(f"{part}.")]
    if deeper := sorted(full for full in inside if full.endswith(f".{name}")):
        return f"did you mean {' or '.join(deeper[:3])}?"
    word = key.lower().replace("-", "_")
    endings = [word.split(".", count)[-1] for count in range(word.count(".") + 1)]
    for ending in endings:  # the whole key first, its last part at last
        wanted = KEYS.get(ending, [])
        there = [full for full in wanted if full in known or full.startswith("hydra.")]
        if there:
            return f"did you mean {' or '.join(there)}?"
        if wanted and "." not in ending and wanted[0].split(".")[0] in known:
            return f"did you mean {wanted[0]}, of another choice of {wanted[0].split('.')[0]}?"
        if ending in ANSWERS:
            return f"write {ANSWERS[ending][0]}"
    return ""


def answer_flag(flag: str) -> str:
    """`--epochs` -> `trainer.max_epochs=VALUE`; "" where it is none of theirs."""
    word = flag.lstrip("-").partition("=")[0].lower().replace("-", "_")
    return f"{KEYS[word][0]}=VALUE" if word in KEYS else (ANSWERS.get(word) or [""])[0]
