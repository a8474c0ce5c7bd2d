"""The demo: a wholesaler's data in six systems, loaded by real DAG runs, checked row by row."""
