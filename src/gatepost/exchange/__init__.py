"""One Exchange organization, seen by a client: its words go in, ours come out."""
