"""Files and streams -> documents."""
