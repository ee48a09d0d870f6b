"""The commands of a corpus on disk, a file each: `minibert index build` is `build`.

In reading order: `build`, `add`, `delete`, `verify`, `info`, `graph`; what they tell of a corpus is
in `report`.
"""
