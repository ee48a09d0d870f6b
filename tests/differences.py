"""Derivatives of a function by numbers of an array, from its values beside them."""

import numpy as np

# Differences of sixth order: places in steps, and their weights.
PLACES = {-3: -1 / 60, -2: 9 / 60, -1: -45 / 60, 1: 45 / 60, 2: -9 / 60, 3: 1 / 60}


def derivative(function, array, direction, step=3e-4):
    """The derivative of function() when `array`, changed in place, goes into a direction.

    `direction` is an array of that shape, or the index of one number.
    """
    if isinstance(direction, tuple):
        index, direction = direction, np.zeros_like(array)
        direction[index] = 1
    before, total = array.copy(), 0.0
    for place, weight in PLACES.items():
        array[...] = before + place * step * direction
        total += weight * function()
    array[...] = before
    return total / step


def derivatives(function, array, step=3e-4):
    """The derivatives by all numbers of an array, in its shape."""
    found = [derivative(function, array, index, step) for index in np.ndindex(array.shape)]
    return np.reshape(found, array.shape)


def relative(numerical, exact, floor=1e-4):
    """The largest difference, relative to the larger of the two, or to the floor."""
    scale = np.maximum(floor, np.maximum(np.abs(numerical), np.abs(exact)))
    return (np.abs(numerical - exact) / scale).max()
