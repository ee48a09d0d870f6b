"""Pictures of a model at work: in a terminal, as SVG, and as pages that need no network."""
