"""The classes that users load."""
