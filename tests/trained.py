"""Models with tensors that differ from their folder's, as after training."""

import numpy as np

from minibert.bert.families import FAMILIES
from minibert.bert.layout import read_parameters
from minibert.common.safetensors_files import Tensors, weight_files
from minibert.common.tensors_in_memory import TensorsInMemory
from minibert.pooling.pipeline import load_pipeline


def change_tensors_of(model, factor=1.25):
    """Give a model tensors that are each `factor` times and a little more than the stored ones.

    Returns the tensors by key.
    """
    family, folder = FAMILIES[model.config.model_type], model.folder
    own, of_modules = TensorsInMemory(model.checkpoint.tensors), []

    def tensors_of(path):
        place = f"{path.relative_to(folder.path).as_posix()}/"
        of_modules.append(TensorsInMemory(Tensors(weight_files(path)), before=place))
        return of_modules[-1]

    read_parameters(family.layout, own, model.config)
    pipeline = load_pipeline(folder.path, folder.modules, model.config.hidden_size, tensors_of)
    values = own.values
    for tensors in of_modules:
        values |= tensors.values
    for number, array in enumerate(values.values()):
        array *= factor
        array += np.float32(0.001 * number)
    parameters = read_parameters(family.layout, own, model.config)
    model.use_tensors(parameters, pipeline, values)
    return values
