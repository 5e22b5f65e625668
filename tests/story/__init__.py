"""One story from an empty machine to the three ends of a connection, with everything as it is delivered."""
