"""minibert inside other libraries, a file each. They are imported by no module of minibert."""
