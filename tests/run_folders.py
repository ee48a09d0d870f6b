"""Folders of training runs as minibert.training.fit leaves them, of numbers that a test chose."""

import json

ARGUMENTS = {
    "lr": 2e-05,
    "epochs": 2,
    "betas": [0.9, 0.999],
    "eps": None,
    "warmup_steps": 0.1,
    "max_grad_norm": 1.0,
    "dropout": True,
    "save_best_model": True,
}


def step(number, loss=None, **more):
    """The record of a step."""
    loss = 1 / number if loss is None else loss
    record = {"step": number, "epoch": (number - 1) // 60, "loss": loss}
    return record | {"lr": 2e-05 * number, "grad_norm": 1.5 - number % 2, **more}


def evaluation(number, ndcg, is_best=False):
    """The record of an evaluation with two measures."""
    measures = {"mrr@10": None if ndcg is None else ndcg / 2, "ndcg@10": ndcg}
    epoch = -1 if number == 0 else (number - 1) // 60
    return {"step": number, "epoch": epoch, "evaluation": measures, "is_best": is_best}


def write_run(folder, records, *, finished=False, model="a-model", losses=1, total=120, torn=""):
    """Write the folder of a run of `total` steps, 60 an epoch; `torn` is the end of its log."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"format": 1, "model": "0" * 64}
    for number in range(losses):
        end = f"_{number + 1}" if number else ""
        settings[f"data{end}"] = "1" * 64
        settings[f"loss{end}"] = {"name": f"Loss{number}", "scale": 20.0}
    evaluator = {"name": "RetrievalEvaluator", "measure": "ndcg@10", "collection": "2" * 64}
    settings |= {"evaluator": evaluator, "arguments": ARGUMENTS}
    facts = {"model": model, "examples": [3840] * losses, "batches": [60] * losses}
    facts |= {"steps": total, "steps_per_epoch": 60}
    content = {"finished": finished, "facts": facts, "settings": settings}
    (folder / "training.json").write_text(json.dumps(content), encoding="utf-8")
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "training.jsonl").write_text(lines + torn, encoding="utf-8")
    return folder


def going(count=50):
    """The records of a run that is in its first epoch, with a measure before it."""
    steps = [step(number) for number in range(1, count + 1)]
    return [evaluation(0, 0.25), *steps, evaluation(count, 0.5, is_best=True)]
