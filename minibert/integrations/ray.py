"""A Ray Dataset (https://docs.ray.io/en/latest/data) with a column of vectors, on all its machines.

import ray
from minibert.integrations.ray import embed

passages = ray.data.read_parquet("passages")
embed(passages, "sentence-transformers/all-MiniLM-L6-v2").write_parquet("vectors")

Each actor has one model. Ray starts the actors, feeds them, and starts them again when they die.
"""

from __future__ import annotations

import os
from typing import Any

from minibert.common.advice import needing

with needing("Ray", "minibert.integrations.ray", "ray"):
    import ray
    from ray.data import ActorPoolStrategy, Dataset

from minibert.integrations.arrow import Encoder

__all__ = ["Encoder", "embed"]


def embed(
    dataset: Dataset,
    model: str | os.PathLike[str],
    *,
    concurrency: int | tuple[int, int] | None = None,
    num_cpus: int = 1,
    num_gpus: float = 0,
    batch_size: int = 1024,
    **arguments: Any,  # Encoder's own
) -> Dataset:
    """Add the vectors of a column of texts to a dataset: n rows -> n rows, in any order.

    `model` is a hub's name, or a folder that every machine has at the same path. `concurrency` is
    how many actors there are, or from how many to how many; None is as many as the cluster holds
    now beside one CPU, which Ray needs for reading and writing, and another one if the dataset has
    a checkpoint_config, for leaving out what is done. Each computes on `num_cpus` cores,
    or on a GPU where `num_gpus` is above 0. `batch_size` rows go to an actor at a time; if one
    dies, Ray starts another, and they are computed again. `arguments` are Encoder's: column, into,
    precision, prompt_name, prompt, normalize_embeddings, pack_tokens, and SentenceTransformer's.

    Nothing is computed before the dataset is read or written; what Encoder raises is raised then.
    Raises ValueError for more actors than the cluster holds beside those CPUs: Ray would wait for
    ever.
    """
    spare = 1 if dataset.context.checkpoint_config is None else 2
    least, most = pool_size(concurrency, num_cpus, num_gpus, spare)
    device = {"device": "cuda"} if num_gpus else {}
    # A block is a batch is a task, so that a large file is shared among the actors.
    blocks = dataset.repartition(target_num_rows_per_block=batch_size)
    return blocks.map_batches(
        Encoder,
        fn_constructor_args=(os.fspath(model),),
        # A process sees all cores of its machine, whatever Ray promised it.
        fn_constructor_kwargs={**device, "threads": num_cpus, **arguments},
        batch_format="pyarrow",
        batch_size=batch_size,
        compute=ActorPoolStrategy(min_size=least, max_size=most),
        num_cpus=num_cpus,
        num_gpus=num_gpus or None,
        udf_modifying_row_count=False,
    )


def pool_size(
    concurrency: int | tuple[int, int] | None, num_cpus: int, num_gpus: float, spare: int
) -> tuple[int, int]:
    """The least and the most actors: those asked for, else those that fit beside `spare` CPUs.

    Raises ValueError if the least do not fit.
    """
    if not isinstance(num_cpus, int) or num_cpus < 1:
        raise ValueError(f"num_cpus is {num_cpus!r}; expected a whole number from 1 up.")
    cpus, gpus = (ray.cluster_resources().get(name, 0) for name in ("CPU", "GPU"))
    fit = max(0, int((cpus - spare) // num_cpus))
    if num_gpus:
        fit = min(fit, int(gpus // num_gpus))
    if concurrency is None:
        concurrency = max(fit, 1)
    least, most = concurrency if isinstance(concurrency, tuple) else (concurrency, concurrency)
    if least > fit:
        raise ValueError(
            f"{least} actors with {num_cpus} CPUs and {num_gpus:g} GPUs each are to run. Beside "
            f"{spare} for reading and writing, this cluster's {cpus:g} CPUs and {gpus:g} GPUs have "
            f"room for {fit}. Give a smaller concurrency, or (least, most) if the cluster grows; "
            "or let Ray count more CPUs than there are: ray.init(num_cpus=...), or ray start "
            "--num-cpus=... on a machine."
        )
    return least, most
