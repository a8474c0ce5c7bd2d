BEGIN TRANSACTION;

UPDATE `acme-analytics.raw_etl._loads__shop_db__orders` SET version = version + 1, epoch = @epoch, watermark = @watermark,
  watermark_of = @watermark_of, published_at = @loaded_at, load_id = @load_id, attempt = @attempt,
  declared_schema = @declared_schema
WHERE kind = 'head' AND version = @expected;

ASSERT @@row_count = 1 AS 'etl-factory: head moved';

CREATE TEMP TABLE _origins AS SELECT load_id, MAX(snapshot_at) AS snapshot_at, MAX(epoch) AS epoch
FROM `acme-analytics.raw_etl._loads__shop_db__orders` WHERE kind = 'load' GROUP BY load_id;

CREATE TEMP TABLE _staged AS SELECT
  s.`id` AS `id`,
  s.`updated_at` AS `updated_at`,
  CAST(s.`price` AS BIGNUMERIC) AS `price`,
  s.`weight` AS `weight`,
  PARSE_JSON(s.`details`, wide_number_mode=>'exact') AS `details`,
  ST_GEOGFROM(s.`shape`) AS `shape`,
  s.`tags` AS `tags`,
  CAST(NULL AS STRING) AS _etl_source_uri,
  s._etl_origin,
  s._etl_file,
  s._etl_record,
  s._etl_is_value,
  s._etl_entries,
  o.snapshot_at AS _etl_snapshot_at,
  o.epoch AS _etl_epoch
FROM `acme-analytics.raw_etl._staging__shop_db__orders__ld_1_sanitize_1_9f3a01bc` AS s
LEFT JOIN _origins AS o ON o.load_id = s._etl_origin;

ASSERT (SELECT COUNTIF(_etl_snapshot_at IS NULL) FROM _staged) = 0 AS 'etl-factory: quarantine changed';

CREATE TEMP TABLE _judged AS SELECT s.*,
  IF(s._etl_snapshot_at = (SELECT MAX(snapshot_at) FROM `acme-analytics.raw_etl._loads__shop_db__orders` WHERE kind = 'load'), 'inserted', 'superseded') AS _etl_action
FROM _staged AS s;

ASSERT (SELECT COUNT(*) FROM _judged) = @rows_staged AS 'etl-factory: unbalanced, staged rows';

CREATE TEMP TABLE _deleted AS SELECT 0 AS n;

INSERT INTO `acme-analytics.raw.shop_db__orders` (`id`, `updated_at`, `price`, `weight`, `details`, `shape`, `tags`, `_etl_load_id`, `_etl_loaded_at`, `_etl_source_uri`)
SELECT `id`, `updated_at`, `price`, `weight`, `details`, `shape`, `tags`, _etl_origin, @loaded_at, _etl_source_uri FROM _judged WHERE _etl_action = 'inserted';

ASSERT @@row_count = (SELECT COUNT(*) FROM _judged WHERE _etl_action = 'inserted') AS 'etl-factory: unbalanced, inserted rows';

ASSERT (SELECT COUNT(*) FROM _judged WHERE _etl_action = 'quarantined') + @rows_quarantined <= @most_bad AS 'etl-factory: too many bad rows';

DELETE FROM `acme-analytics.raw_etl._quarantine__shop_db__orders` AS q WHERE EXISTS (SELECT 1 FROM _judged AS j WHERE j._etl_origin = q.load_id AND j._etl_file = q.file AND j._etl_record = q.record AND j._etl_action <> 'quarantined');

ASSERT @@row_count = (SELECT COALESCE(SUM(_etl_entries), 0) FROM _judged WHERE _etl_action <> 'quarantined') AS 'etl-factory: quarantine changed';

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

INSERT INTO `acme-analytics.raw_etl._loads__shop_db__orders` (`kind`, `epoch`, `load_id`, `attempt`, `run_id`, `mode`, `snapshot_at`, `published_at`, `inserted`, `updated`)
SELECT 'replayed', @epoch, _etl_origin, @attempt, @run_id, @mode, _etl_snapshot_at, @loaded_at, COUNTIF(_etl_action = 'inserted'), COUNTIF(_etl_action = 'updated')
FROM _judged WHERE _etl_action IN ('inserted', 'updated') GROUP BY _etl_origin, _etl_snapshot_at;

COMMIT TRANSACTION;
