BEGIN TRANSACTION;

UPDATE `acme-analytics.raw_etl._loads__shop_db__orders` SET version = version + 1, epoch = @epoch, watermark = @watermark,
  watermark_of = @watermark_of, published_at = @loaded_at, load_id = @load_id, attempt = @attempt,
  declared_schema = @declared_schema,
  snapshot_at = IF(snapshot_at > @snapshot_at, snapshot_at, @snapshot_at)
WHERE kind = 'head' AND version = @expected;

ASSERT @@row_count = 1 AS 'etl-factory: head moved';

CREATE TEMP TABLE _staged AS SELECT
  s.`id` AS `id`,
  s.`updated_at` AS `updated_at`,
  CAST(s.`price` AS BIGNUMERIC) AS `price`,
  s.`weight` AS `weight`,
  PARSE_JSON(s.`details`, wide_number_mode=>'exact') AS `details`,
  ST_GEOGFROM(s.`shape`) AS `shape`,
  s.`tags` AS `tags`,
  CAST(NULL AS STRING) AS _etl_source_uri,
  0 AS _etl_record,
  CAST(NULL AS TIMESTAMP) AS _etl_modified
FROM `acme-analytics.raw_etl._staging__shop_db__orders__ld_1_sanitize_1_9f3a01bc` AS s;

ASSERT (SELECT COUNT(DISTINCT IFNULL(t._etl_load_id, '')) FROM `acme-analytics.raw.shop_db__orders` AS t WHERE t._etl_snapshot_at IS NULL) <= 1 AS 'etl-factory: the published table holds rows of several loads, which are no snapshot. Publish the history into a new table with target_table';

UPDATE `acme-analytics.raw.shop_db__orders` AS t SET _etl_snapshot_at = COALESCE((SELECT MAX(l.snapshot_at) FROM `acme-analytics.raw_etl._loads__shop_db__orders` AS l
  WHERE l.kind = 'load' AND l.load_id = t._etl_load_id), t._etl_loaded_at)
WHERE t._etl_snapshot_at IS NULL;

CREATE TEMP TABLE _judged AS SELECT s.*, 1 AS _etl_rank, 'inserted' AS _etl_action FROM _staged AS s;

ASSERT (SELECT COUNT(*) FROM _judged) = @rows_staged AS 'etl-factory: unbalanced, staged rows';

ASSERT (SELECT COUNT(*) FROM _judged WHERE _etl_action = 'inserted') >= ROUND(@least_ratio * (SELECT COUNT(*) FROM `acme-analytics.raw.shop_db__orders` WHERE _etl_snapshot_at = (SELECT MAX(_etl_snapshot_at) FROM `acme-analytics.raw.shop_db__orders`)), 6) AS 'etl-factory: shrunk';

DELETE FROM `acme-analytics.raw.shop_db__orders` WHERE _etl_load_id = @load_id;

CREATE TEMP TABLE _deleted AS SELECT @@row_count AS n;

INSERT INTO `acme-analytics.raw.shop_db__orders` (`id`, `updated_at`, `price`, `weight`, `details`, `shape`, `tags`, `_etl_load_id`, `_etl_loaded_at`, `_etl_source_uri`, `_etl_snapshot_at`)
SELECT `id`, `updated_at`, `price`, `weight`, `details`, `shape`, `tags`, @load_id, @loaded_at, _etl_source_uri, @snapshot_at FROM _judged WHERE _etl_action = 'inserted';

ASSERT @@row_count = (SELECT COUNT(*) FROM _judged WHERE _etl_action = 'inserted') AS 'etl-factory: unbalanced, inserted rows';

ASSERT (SELECT COUNT(*) FROM _judged WHERE _etl_action = 'quarantined') + @rows_quarantined <= @most_bad AS 'etl-factory: too many bad rows';

DELETE FROM `acme-analytics.raw_etl._quarantine__shop_db__orders` WHERE load_id = @load_id;

ASSERT 0 >= @rows_quarantined AS 'etl-factory: unbalanced, quarantined rows';

INSERT INTO `acme-analytics.raw_etl._loads__shop_db__orders` (`kind`, `version`, `epoch`, `watermark`, `watermark_of`, `load_id`, `attempt`, `run_id`, `mode`, `plan`, `snapshot_at`, `published_at`, `rows_read`, `rows_staged`, `inserted`, `updated`, `unchanged`, `superseded`, `deleted`, `restored`, `quarantined`, `bytes`, `checksum`, `spec_digest`, `schema_changes`, `declared_schema`)
SELECT
  'load',
  @expected + 1,
  @epoch,
  @watermark,
  @watermark_of,
  @load_id,
  @attempt,
  @run_id,
  @mode,
  @plan,
  @snapshot_at,
  @loaded_at,
  @rows_read,
  @rows_staged,
  COUNTIF(_etl_action = 'inserted'),
  COUNTIF(_etl_action = 'updated'),
  COUNTIF(_etl_action = 'unchanged'),
  COUNTIF(_etl_action = 'superseded'),
  (SELECT n FROM _deleted),
  0,
  COUNTIF(_etl_action = 'quarantined') + @rows_quarantined,
  @bytes,
  @checksum,
  @spec_digest,
  @schema_changes,
  @declared_schema
FROM _judged;

COMMIT TRANSACTION;
