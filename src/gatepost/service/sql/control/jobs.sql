-- name: partitions
-- This month's partition of the history and those of the months ahead.
-- example: {"ahead": 2}
SELECT gatepost_history_partitions(%(ahead)s) AS made
