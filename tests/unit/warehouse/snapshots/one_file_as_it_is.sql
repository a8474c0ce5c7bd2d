BEGIN TRANSACTION;

UPDATE `acme-analytics.raw_etl._loads__shop_db__orders` SET version = version + 1, epoch = @epoch, watermark = @watermark,
  watermark_of = @watermark_of, published_at = @loaded_at, load_id = @load_id, attempt = @attempt,
  declared_schema = @declared_schema,
  snapshot_at = IF(snapshot_at > @snapshot_at, snapshot_at, @snapshot_at)
WHERE kind = 'head' AND version = @expected;

ASSERT @@row_count = 1 AS 'etl-factory: head moved';

CREATE TEMP TABLE _files AS SELECT uri, @versions[OFFSET(i)] AS version, @sizes[OFFSET(i)] AS size, @modified[OFFSET(i)] AS modified, @file_rows[OFFSET(i)] AS file_rows, @file_quarantined[OFFSET(i)] AS quarantined
FROM UNNEST(@uris) AS uri WITH OFFSET AS i;

CREATE TEMP TABLE _staged AS SELECT
  s.`id` AS `id`,
  s.`updated_at` AS `updated_at`,
  CAST(s.`price` AS BIGNUMERIC) AS `price`,
  s.`weight` AS `weight`,
  PARSE_JSON(s.`details`, wide_number_mode=>'exact') AS `details`,
  ST_GEOGFROM(s.`shape`) AS `shape`,
  s.`tags` AS `tags`,
  f.uri AS _etl_source_uri,
  0 AS _etl_record,
  f.modified AS _etl_modified
FROM `acme-analytics.raw_etl._staging__shop_db__orders__ld_1_sanitize_1_9f3a01bc` AS s
CROSS JOIN _files AS f;

CREATE TEMP TABLE _stale AS SELECT DISTINCT f.uri FROM _files AS f
JOIN `acme-analytics.raw_etl._loads__shop_db__orders` AS l ON l.kind = 'file' AND l.epoch = @epoch AND l.uri = f.uri AND l.object_version <> f.version
JOIN `acme-analytics.raw_etl._loads__shop_db__orders` AS o ON o.kind = 'load' AND o.load_id = l.load_id AND o.attempt = l.attempt
WHERE o.snapshot_at > @snapshot_at OR (o.snapshot_at = @snapshot_at AND l.object_modified > f.modified);

CREATE TEMP TABLE _judged AS SELECT s.*, 1 AS _etl_rank,
  IF(d.uri IS NULL, 'inserted', 'superseded') AS _etl_action
FROM _staged AS s LEFT JOIN _stale AS d ON d.uri = s._etl_source_uri;

ASSERT (SELECT COUNT(*) FROM _judged) = @rows_staged AS 'etl-factory: unbalanced, staged rows';

DELETE FROM `acme-analytics.raw.shop_db__orders` WHERE _etl_source_uri IN (SELECT uri FROM _files) AND _etl_source_uri NOT IN (SELECT uri FROM _stale);

CREATE TEMP TABLE _deleted AS SELECT @@row_count AS n;

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

INSERT INTO `acme-analytics.raw_etl._loads__shop_db__orders` (`kind`, `epoch`, `load_id`, `attempt`, `published_at`, `uri`, `object_version`, `object_size`, `object_modified`, `rows`, `quarantined`)
SELECT
  'file',
  @epoch,
  @load_id,
  @attempt,
  @loaded_at,
  uri,
  version,
  size,
  modified,
  file_rows,
  quarantined
FROM _files;

COMMIT TRANSACTION;
