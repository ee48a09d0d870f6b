"""Commands of a corpus on disk, a file each: `minibert index build` is `build`.

In reading order: `build`, `add`, `replace`, `delete`, `compact`, `verify`, `info`, `graph`;
`report` prints the facts of a corpus for them.
"""
