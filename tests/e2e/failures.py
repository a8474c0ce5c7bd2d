"""What must go wrong with each source of tenant `bad`: the task's final state, and words of its message."""

MESSAGES = {
    ("no_table", "items.extract"): ("failed", "e2e.nope", "does not exist"),
    ("no_column", "items.extract"): ("failed", "update_at", "did you mean 'updated_at'"),
    ("wrong_password", "items.extract"): ("failed", "bad__wrong_password", "secret set bad wrong_password -"),
    ("wrong_mysql", "items.extract"): ("failed", "bad__wrong_mysql", "secret set bad wrong_mysql -"),
    ("unreachable", "items.extract"): ("failed", "bad__unreachable", "127.0.0.1:1"),
    ("no_bucket", "items.extract"): ("failed", "e2e-no-such-bucket", "does not exist"),
    ("no_gcs_bucket", "items.extract"): ("failed", "e2e-no-such-bucket", "does not exist"),
    ("no_container", "items.extract"): ("failed", "e2e-no-such-container", "does not exist"),
    ("no_bq_table", "items.extract"): ("failed", "shared.nope", "not found"),
    ("denied", "items.extract"): ("failed", "permission denied on secret airflow-connections-bad__denied",
                                  "roles/secretmanager.secretAccessor"),
    ("missing", "items.extract"): ("failed", "bad__missing", "secret set bad missing -"),
    ("damaged", "not_gzip.sanitize"): ("failed", "s3://e2e-files/damaged/cut.csv.gz", "damaged"),
    ("damaged", "too_many_bad.sanitize"): ("failed", "1 of 3 rows are bad", "'two'"),
    ("nothing", "no_match.extract"): ("skipped", "s3://e2e-files/nothing/no-such-*.csv", "Nothing was published"),
    ("nothing", "empty_file.sanitize"): ("skipped", "s3://e2e-files/nothing/empty.csv", "no file holds a record"),
    ("nothing", "only_header.sanitize"): ("skipped", "s3://e2e-files/nothing/header.csv", "no file holds a record"),
    ("empty_table", "increments.extract"): ("skipped", "no rows", "Nothing was published"),
}  # fmt: skip
SOURCES = sorted({source for source, _ in MESSAGES})
