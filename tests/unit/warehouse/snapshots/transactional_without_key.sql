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

CREATE TEMP TABLE _held AS SELECT SHA256(content) AS _etl_hash, COUNT(*) AS copies FROM
  (SELECT TO_JSON_STRING(STRUCT(t.`id` AS `id`, t.`updated_at` AS `updated_at`, t.`price` AS `price`, t.`weight` AS `weight`, IF(t.`details` IS NULL, NULL, TO_JSON_STRING(t.`details`)) AS `details`, ST_ASTEXT(t.`shape`) AS `shape`, t.`tags` AS `tags`)) AS content FROM `acme-analytics.raw.shop_db__orders` AS t
WHERE (t.`updated_at` < TIMESTAMP '2025-06-01 12:00:00+00:00') OR t.`updated_at` IS NULL) GROUP BY _etl_hash;

CREATE TEMP TABLE _ranked AS SELECT s.*, ROW_NUMBER() OVER (PARTITION BY s._etl_hash) AS _etl_rank FROM
  (SELECT s.*, SHA256(TO_JSON_STRING(STRUCT(s.`id` AS `id`, s.`updated_at` AS `updated_at`, s.`price` AS `price`, s.`weight` AS `weight`, IF(s.`details` IS NULL, NULL, TO_JSON_STRING(s.`details`)) AS `details`, ST_ASTEXT(s.`shape`) AS `shape`, s.`tags` AS `tags`))) AS _etl_hash FROM _staged AS s) AS s;

CREATE TEMP TABLE _judged AS SELECT s.* EXCEPT (_etl_hash),
  IF(s._etl_rank > COALESCE(h.copies, 0), 'inserted', 'unchanged') AS _etl_action
FROM _ranked AS s LEFT JOIN _held AS h ON h._etl_hash = s._etl_hash;

ASSERT (SELECT COUNT(*) FROM _judged) = @rows_staged AS 'etl-factory: unbalanced, staged rows';

CREATE TEMP TABLE _deleted AS SELECT 0 AS n;

INSERT INTO `acme-analytics.raw.shop_db__orders` (`id`, `updated_at`, `price`, `weight`, `details`, `shape`, `tags`, `_etl_load_id`, `_etl_loaded_at`, `_etl_source_uri`)
SELECT `id`, `updated_at`, `price`, `weight`, `details`, `shape`, `tags`, @load_id, @loaded_at, _etl_source_uri FROM _judged WHERE _etl_action = 'inserted';

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
