"""Commands of a corpus on disk, a file each: `minibert index build` is `build`.

In reading order: `build`, `add`, `replace`, `delete`, `compact`, `verify`, `info`, `graph`;
`further` opens what `add` and `replace` encode, `report` prints the facts of a corpus.
"""
