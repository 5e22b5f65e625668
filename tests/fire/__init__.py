"""The promises under fire: what is decided, published, written and told, whatever happens on the way."""
