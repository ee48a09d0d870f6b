"""The tensors of a model and the tokens of a pack, on a stand-in for a GPU."""

import cupy_stand_in
import numpy as np
import pytest
from golden_files import GOLDEN, expected_of

from minibert.bert.load import load_checkpoint
from minibert.bert.packs import packs
from minibert.bert.placement import pack_to_device, parameters_to_device
from minibert.errors import DeviceError
from minibert.kernels.devices import find_device


def test_all_tensors_of_a_model_go_to_the_gpu(cuda):
    parameters = load_checkpoint(GOLDEN / "gelu").parameters
    on_gpu = parameters_to_device(parameters, cuda)
    there = [
        tensor
        for part in (on_gpu, *on_gpu.layers)
        for tensor in part._asdict().values()
        if not isinstance(tensor, tuple | str | None)
    ]
    here = [t for part in (parameters, *parameters.layers) for t in part._asdict().values()]
    here = [tensor for tensor in here if isinstance(tensor, np.ndarray)]
    assert len(there) == 6 + 3 * 12
    for ours, theirs in zip(there, here, strict=True):
        assert isinstance(ours, cupy_stand_in.DeviceArray)
        np.testing.assert_array_equal(cuda.to_host(ours), theirs)


def test_a_checkpoint_without_a_pooler_goes_to_the_gpu(cuda):
    parameters = load_checkpoint(GOLDEN / without_pooler()).parameters
    on_gpu = parameters_to_device(parameters, cuda)
    assert on_gpu.pooler_weight is None
    assert isinstance(on_gpu.word_embeddings, cupy_stand_in.DeviceArray)


def without_pooler():
    """The name of a golden model that has none."""
    names = sorted(path.parent.name for path in GOLDEN.glob("*/expected.npz"))
    return next(name for name in names if "right_pooler_output" not in expected_of(name))


def test_lengths_and_order_of_a_pack_stay_on_the_host(cuda):
    (pack,) = packs([np.array([2, 5, 3]), np.array([2, 3])], 1024)
    on_gpu = pack_to_device(pack, cuda)
    for name in ("ids", "positions", "token_types"):
        assert isinstance(getattr(on_gpu, name), cupy_stand_in.DeviceArray)
        np.testing.assert_array_equal(cuda.to_host(getattr(on_gpu, name)), getattr(pack, name))
    assert on_gpu.lengths is pack.lengths
    assert on_gpu.order is pack.order


def test_a_weight_too_large_for_float16_is_named(cupy):
    parameters = load_checkpoint(GOLDEN / "gelu").parameters
    weight = parameters.layers[0].output_weight.copy()
    weight[0, 0] = -70000
    spoilt = parameters._replace(layers=(parameters.layers[0]._replace(output_weight=weight),))
    with pytest.raises(DeviceError, match=r"output_weight.*70000.*65504"):
        parameters_to_device(spoilt, find_device("cuda", "float16"))
