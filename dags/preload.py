"""What the DAG processor imports once, so that no parsing of tenants.py has to; tasks never read this file.

Airflow imports the airflow modules that a file names at its top before it forks the process that reads the file, and
all later ones inherit them. In tenants.py, every task would import each of them as well.
Remove the line of a provider that is not installed.
"""

import etl_factory  # noqa: F401, I001 - names Arrow's memory pool, before what follows imports Arrow
import airflow.providers.google.cloud.operators.bigquery
import airflow.providers.google.cloud.transfers.azure_blob_to_gcs
import airflow.providers.google.cloud.transfers.gcs_to_bigquery
import airflow.providers.google.cloud.transfers.gcs_to_gcs
import airflow.providers.google.cloud.transfers.mysql_to_gcs
import airflow.providers.google.cloud.transfers.postgres_to_gcs
import airflow.providers.google.cloud.transfers.s3_to_gcs
import airflow.sdk  # noqa: F401 - see above
