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
  s._etl_source_uri AS _etl_source_uri,
  s._etl_record AS _etl_record,
  f.modified AS _etl_modified
FROM `acme-analytics.raw_etl._staging__shop_db__orders__ld_1_sanitize_1_9f3a01bc` AS s
LEFT JOIN _files AS f ON f.uri = s._etl_source_uri;

CREATE TEMP TABLE _stale AS SELECT DISTINCT f.uri FROM _files AS f
JOIN `acme-analytics.raw_etl._loads__shop_db__orders` AS l ON l.kind = 'file' AND l.epoch = @epoch AND l.uri = f.uri AND l.object_version <> f.version
JOIN `acme-analytics.raw_etl._loads__shop_db__orders` AS o ON o.kind = 'load' AND o.load_id = l.load_id AND o.attempt = l.attempt
WHERE o.snapshot_at > @snapshot_at OR (o.snapshot_at = @snapshot_at AND l.object_modified > f.modified);

CREATE TEMP TABLE _ranked AS SELECT s.*, ROW_NUMBER() OVER (PARTITION BY s.`id` ORDER BY s._etl_modified DESC, s._etl_source_uri DESC, s._etl_record DESC) AS _etl_rank FROM _staged AS s;

ASSERT (SELECT COUNT(*) FROM `acme-analytics.raw.shop_db__orders` AS t JOIN _ranked AS s ON s._etl_rank = 1 AND s.`id` = t.`id` WHERE (t.`updated_at` >= TIMESTAMP '2025-01-01 00:00:00+00:00' AND t.`updated_at` < TIMESTAMP '2025-01-02 00:00:00+00:00' OR t.`updated_at` >= TIMESTAMP '2025-05-31 00:00:00+00:00' AND t.`updated_at` < TIMESTAMP '2025-06-02 00:00:00+00:00' OR t.`updated_at` IS NULL) IS NOT TRUE) = 0 AS 'etl-factory: partitions moved';

CREATE TEMP TABLE _judged AS SELECT s.*, CASE
  WHEN s.`id` IS NULL THEN 'quarantined'
  WHEN s._etl_rank > 1 THEN 'superseded'
  WHEN t.`id` IS NULL THEN 'inserted'
  WHEN TO_JSON_STRING(STRUCT(s.`id` AS `id`, s.`updated_at` AS `updated_at`, s.`price` AS `price`, s.`weight` AS `weight`, IF(s.`details` IS NULL, NULL, TO_JSON_STRING(s.`details`)) AS `details`, ST_ASTEXT(s.`shape`) AS `shape`, s.`tags` AS `tags`)) = TO_JSON_STRING(STRUCT(t.`id` AS `id`, t.`updated_at` AS `updated_at`, t.`price` AS `price`, t.`weight` AS `weight`, IF(t.`details` IS NULL, NULL, TO_JSON_STRING(t.`details`)) AS `details`, ST_ASTEXT(t.`shape`) AS `shape`, t.`tags` AS `tags`)) THEN 'unchanged'
  WHEN NOT (o.modified IS NULL OR IF(s._etl_source_uri = t._etl_source_uri, d.uri IS NULL,
    s._etl_modified > o.modified OR (s._etl_modified = o.modified AND s._etl_source_uri > t._etl_source_uri))) THEN 'superseded'
  ELSE 'updated' END AS _etl_action
FROM _ranked AS s
LEFT JOIN (SELECT `id`, `updated_at`, `price`, `weight`, `details`, `shape`, `tags`, `_etl_load_id`, `_etl_loaded_at`, `_etl_source_uri` FROM `acme-analytics.raw.shop_db__orders` AS t
  WHERE t.`updated_at` >= TIMESTAMP '2025-01-01 00:00:00+00:00' AND t.`updated_at` < TIMESTAMP '2025-01-02 00:00:00+00:00' OR t.`updated_at` >= TIMESTAMP '2025-05-31 00:00:00+00:00' AND t.`updated_at` < TIMESTAMP '2025-06-02 00:00:00+00:00' OR t.`updated_at` IS NULL) AS t ON s._etl_rank = 1 AND s.`id` = t.`id`
LEFT JOIN (SELECT load_id, published_at, uri, MAX(object_modified) AS modified FROM `acme-analytics.raw_etl._loads__shop_db__orders` WHERE kind = 'file' GROUP BY load_id, published_at, uri) AS o
  ON o.load_id = t._etl_load_id AND o.published_at = t._etl_loaded_at AND o.uri = t._etl_source_uri
LEFT JOIN _stale AS d ON d.uri = s._etl_source_uri;

ASSERT (SELECT COUNT(*) FROM _judged) = (SELECT COUNT(*) FROM _ranked) AS 'etl-factory: the published table holds a primary key more than once. Delete all but one row of each key there, or run once with full_refresh';

ASSERT (SELECT COUNT(*) FROM _judged) = @rows_staged AS 'etl-factory: unbalanced, staged rows';

UPDATE `acme-analytics.raw.shop_db__orders` AS t SET
  `id` = s.`id`,
  `updated_at` = s.`updated_at`,
  `price` = s.`price`,
  `weight` = s.`weight`,
  `details` = s.`details`,
  `shape` = s.`shape`,
  `tags` = s.`tags`,
  _etl_load_id = @load_id, _etl_loaded_at = @loaded_at, _etl_source_uri = s._etl_source_uri
FROM _judged AS s WHERE s._etl_action = 'updated' AND t.`id` = s.`id`
  AND (t.`updated_at` >= TIMESTAMP '2025-01-01 00:00:00+00:00' AND t.`updated_at` < TIMESTAMP '2025-01-02 00:00:00+00:00' OR t.`updated_at` >= TIMESTAMP '2025-05-31 00:00:00+00:00' AND t.`updated_at` < TIMESTAMP '2025-06-02 00:00:00+00:00' OR t.`updated_at` IS NULL);

ASSERT @@row_count = (SELECT COUNT(*) FROM _judged WHERE _etl_action = 'updated') AS 'etl-factory: unbalanced, updated rows';

CREATE TEMP TABLE _deleted AS SELECT 0 AS n;

INSERT INTO `acme-analytics.raw.shop_db__orders` (`id`, `updated_at`, `price`, `weight`, `details`, `shape`, `tags`, `_etl_load_id`, `_etl_loaded_at`, `_etl_source_uri`)
SELECT `id`, `updated_at`, `price`, `weight`, `details`, `shape`, `tags`, @load_id, @loaded_at, _etl_source_uri FROM _judged WHERE _etl_action = 'inserted';

ASSERT @@row_count = (SELECT COUNT(*) FROM _judged WHERE _etl_action = 'inserted') AS 'etl-factory: unbalanced, inserted rows';

ASSERT (SELECT COUNT(*) FROM _judged WHERE _etl_action = 'quarantined') + @rows_quarantined <= @most_bad AS 'etl-factory: too many bad rows';

DELETE FROM `acme-analytics.raw_etl._quarantine__shop_db__orders` WHERE load_id = @load_id;

ASSERT 0 >= @rows_quarantined AS 'etl-factory: unbalanced, quarantined rows';

INSERT INTO `acme-analytics.raw_etl._quarantine__shop_db__orders` (`resource`, `load_id`, `file`, `record`, `line`, `key`, `column`, `value`, `reason`, `row`, `kind`, `raw`, `quarantined_at`)
SELECT @resource, @load_id, _etl_source_uri, _etl_record, CAST(NULL AS INT64), TO_JSON_STRING(STRUCT(`id`)), 'id', 'NULL', 'the primary key is NULL', TO_JSON_STRING(STRUCT(j.`id` AS `id`, j.`updated_at` AS `updated_at`, j.`price` AS `price`, j.`weight` AS `weight`, IF(j.`details` IS NULL, NULL, TO_JSON_STRING(j.`details`)) AS `details`, ST_ASTEXT(j.`shape`) AS `shape`, j.`tags` AS `tags`)), 'row', CAST(NULL AS BYTES), @loaded_at
FROM _judged AS j WHERE _etl_action = 'quarantined';

ASSERT @@row_count = (SELECT COUNT(*) FROM _judged WHERE _etl_action = 'quarantined') AS 'etl-factory: unbalanced, rows without a key';

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
