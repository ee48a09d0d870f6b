"""A Ray Dataset (https://docs.ray.io/en/latest/data) with a column of vectors, on all its machines.

import ray
from minibert.integrations.ray import embed

passages = ray.data.read_parquet("passages")
embed(passages, "sentence-transformers/all-MiniLM-L6-v2").write_parquet("vectors")

Each actor has one model. Ray starts the actors, feeds them, and restarts them when they die.
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
    the number of actors, or the least and the greatest number. With None, actors fill the cluster
    but for one CPU, which Ray needs for reading and writing, and a second one if the dataset has a
    checkpoint_config, for skipping finished rows. An actor computes on `num_cpus` cores, or on a
    GPU if `num_gpus` is above 0. It gets `batch_size` rows at a time; if it dies, Ray starts
    another and computes them again. `arguments` are those of Encoder: column, into, precision,
    prompt_name, prompt, normalize_embeddings, pack_tokens, and those of SentenceTransformer.

    Nothing is computed, and no error of Encoder is raised, before the dataset is read or written.
    Raises ValueError for more actors than the cluster has room for: Ray would wait for ever.
    """
    spare = 1 if dataset.context.checkpoint_config is None else 2
    min_size, max_size = pool_size(concurrency, num_cpus, num_gpus, spare)
    device = {"device": "cuda"} if num_gpus else {}
    # One block per batch, so that a large file is split between the actors.
    blocks = dataset.repartition(target_num_rows_per_block=batch_size)
    return blocks.map_batches(
        Encoder,
        fn_constructor_args=(os.fspath(model),),
        # A process sees all cores of its machine, not only those that Ray gave it.
        fn_constructor_kwargs={**device, "threads": num_cpus, **arguments},
        batch_format="pyarrow",
        batch_size=batch_size,
        compute=ActorPoolStrategy(min_size=min_size, max_size=max_size),
        num_cpus=num_cpus,
        num_gpus=num_gpus or None,
        udf_modifying_row_count=False,
    )


def pool_size(
    concurrency: int | tuple[int, int] | None, num_cpus: int, num_gpus: float, spare: int
) -> tuple[int, int]:
    """Return the least and the greatest number of actors; without `concurrency`, all that fit.

    `spare` CPUs stay free. Raises ValueError if the least number does not fit.
    """
    if not isinstance(num_cpus, int) or num_cpus < 1:
        raise ValueError(f"num_cpus is {num_cpus!r}; expected a whole number from 1 up.")
    cpus, gpus = (ray.cluster_resources().get(name, 0) for name in ("CPU", "GPU"))
    fit = max(0, int((cpus - spare) // num_cpus))
    if num_gpus:
        fit = min(fit, int(gpus // num_gpus))
    if concurrency is None:
        concurrency = max(fit, 1)
    if not isinstance(concurrency, tuple):
        concurrency = concurrency, concurrency
    min_size, max_size = concurrency
    if min_size > fit:
        raise ValueError(
            f"{min_size} actors with {num_cpus} CPUs and {num_gpus:g} GPUs each are to run. Beside "
            f"{spare} for reading and writing, this cluster's {cpus:g} CPUs and {gpus:g} GPUs have "
            f"room for {fit}. Give a smaller concurrency, or (minimum, maximum) if the cluster "
            "grows; or let Ray count more CPUs than there are: ray.init(num_cpus=...), or ray "
            "start --num-cpus=... on a machine."
        )
    return min_size, max_size
