"""Hidden states -> vectors."""
