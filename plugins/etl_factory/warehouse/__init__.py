"""BigQuery as destination: jobs that run once, the ledger, and the SQL of one publish."""
