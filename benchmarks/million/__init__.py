"""An average of a million parameters, in shards, proven from end to end."""
