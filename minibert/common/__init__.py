"""What knows no model, no vector and no score: files, JSON, arguments, types of arrays."""
