"""The commands, a file each: add() says what its options are, run() or its namesake does it."""
